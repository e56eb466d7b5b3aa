// What etcd answers, decoded. Hostile input: the network may bring anything.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "controlplane/store/types.h"

namespace shoal::store::etcd {

// A body, or one message of a stream.
inline constexpr std::size_t max_answer_bytes = std::size_t{16} << 20;

// May what is asked be sent again when nobody knows what became of it? Always; never; or yes, since
// it happens at most once: `happens_once()` of etcd_request.h.
enum class Effect { reads, writes, writes_once };

// Of a transaction.
struct Outcome {
    Revision revision = 0;
    bool is_done = false;  // its conditions held
    // When it is not done: the oldest change of what it would have put and is there; 0: nothing is.
    Revision oldest_change = 0;
};

struct WatchMessage {
    Revision revision = 0;
    bool is_created = false;  // the first message of a watch
    bool is_canceled = false;
    Revision compacted = 0;    // not 0: why it is canceled
    bool is_fragment = false;  // more of the last event's revision may follow
    std::vector<Event> events;
};

// Each takes a body of HTTP status 200. Failure::unavailable or, after a write,
// Failure::uncertain for what makes no sense.
[[nodiscard]] Result<Page> decode_range(std::string_view body);
[[nodiscard]] Result<Outcome> decode_commit(std::string_view body);
[[nodiscard]] Result<LeaseId> decode_grant(std::string_view body);
[[nodiscard]] Result<LeaseId> decode_keep_alive(std::string_view body);
[[nodiscard]] Result<Revision> decode_revision(std::string_view body);
[[nodiscard]] Result<WatchMessage> decode_watch(std::string_view message);

// The body of any other status.
[[nodiscard]] Error decode_error(std::string_view body, Effect effect);

}  // namespace shoal::store::etcd
