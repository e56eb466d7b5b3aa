// What a store takes, and the checks every implementation makes at its door.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

#include "controlplane/store/types.h"

namespace shoal::store {

inline constexpr std::size_t max_key_bytes = 512;
// etcd takes requests of 1.5 MiB (--max-request-bytes) and 128 operations (--max-txn-ops), of which
// one is EtcdStore's own.
inline constexpr std::size_t max_value_bytes = std::size_t{512} << 10;
inline constexpr std::size_t max_transaction_bytes = std::size_t{1} << 20;
inline constexpr std::size_t max_operations = 127;
inline constexpr std::size_t max_conditions = 128;
inline constexpr std::size_t max_page_keys = 1000;
inline constexpr std::size_t max_page_bytes = std::size_t{8} << 20;
inline constexpr std::size_t max_watches = 256;
inline constexpr std::size_t max_pending_requests = 4096;
inline constexpr std::size_t max_leases = 65536;
// etcd rounds a lease of one second up to two.
inline constexpr std::chrono::seconds min_lease{2};
inline constexpr std::chrono::seconds max_lease{3600};

// A path: '/' and printable ASCII without spaces, no empty segment, at most max_key_bytes.
[[nodiscard]] bool is_key(std::string_view text) noexcept;
// As a key, but may end anywhere: "/", "/hosts/", "/hosts/a".
[[nodiscard]] bool is_prefix(std::string_view text) noexcept;

// Nothing, or why the request is refused.
[[nodiscard]] std::optional<Error> refuse_key(std::string_view key);
[[nodiscard]] std::optional<Error> refuse(const Transaction& transaction);
[[nodiscard]] std::optional<Error> refuse(const ListRequest& request);
[[nodiscard]] std::optional<Error> refuse_watch(std::string_view prefix, Revision from,
                                                std::size_t watch_count);
[[nodiscard]] std::optional<Error> refuse_lease(std::chrono::seconds ttl);

[[nodiscard]] const std::string& key_of(const Operation& operation) noexcept;
[[nodiscard]] std::size_t page_keys(const ListRequest& request) noexcept;

// The first key behind all that begin with `prefix`.
[[nodiscard]] std::string end_of_prefix(std::string_view prefix);
// Where a page begins: behind `after`, or at the prefix.
[[nodiscard]] std::string begin_of_page(const ListRequest& request);

// An answer of its own: what was asked for is older than what is kept.
[[nodiscard]] Error compacted_error(Revision asked, Revision compacted);
[[nodiscard]] Error future_error(Revision asked, Revision newest);

}  // namespace shoal::store
