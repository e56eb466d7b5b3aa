// Readiness as bits.
#include "guest/kernel/events/poll_events.h"

namespace shoal::guest {

std::uint32_t poll_events_of(const OpenFile& file) {
    if (file.has(open_flags::path)) {
        return poll_events::invalid;
    }
    const Readiness ready = file.inode().readiness(file);
    const auto bits = [](Readiness::Is is, std::uint32_t mask) {
        return is == Readiness::Is::yes ? mask : 0U;
    };
    return bits(ready.readable, poll_events::in | poll_events::in_normal) |
           bits(ready.writable, poll_events::out | poll_events::out_normal) |
           bits(ready.peer_closed, poll_events::peer_closed) |
           bits(ready.hung_up, poll_events::hang_up) | bits(ready.error, poll_events::error);
}

}  // namespace shoal::guest
