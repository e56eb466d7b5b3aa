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
// Done twice, it would change something once only: one of its conditions is on what it changes.
[[nodiscard]] bool happens_once(const Transaction& transaction);
// With a signature that no other has, whose revision it is can be found out: signature_request().
[[nodiscard]] std::string commit_request(const Transaction& transaction,
                                         const std::string& signature);
// The entry whose value is the signature of the last signed transaction at or before `revision`.
[[nodiscard]] std::string signature_request(Revision revision);
[[nodiscard]] std::string watch_request(const std::string& prefix, Revision from);
[[nodiscard]] std::string grant_request(std::chrono::seconds ttl);
[[nodiscard]] std::string lease_request(LeaseId lease);
[[nodiscard]] std::string compact_request(Revision revision);

}  // namespace shoal::store::etcd
