// What is asked of etcd's JSON gateway: the bodies of v3 requests.
//
// https://etcd.io/docs/v3.4/dev-guide/api_reference_v3: bytes are base64, 64-bit numbers strings.
#pragma once

#include <chrono>
#include <string>

#include "controlplane/store/types.h"

namespace shoal::store::etcd {

[[nodiscard]] std::string get_request(const std::string& key);
// Asks for `limit` keys.
[[nodiscard]] std::string list_request(const ListRequest& request, std::size_t limit);
[[nodiscard]] std::string commit_request(const Transaction& transaction);
[[nodiscard]] std::string watch_request(const std::string& prefix, Revision from);
[[nodiscard]] std::string grant_request(std::chrono::seconds ttl);
[[nodiscard]] std::string lease_request(LeaseId lease);
[[nodiscard]] std::string compact_request(Revision revision);

}  // namespace shoal::store::etcd
