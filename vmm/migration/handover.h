// The hand-over: who may run the guest, as two tables without I/O. README.md draws them.
//
// Each side feeds its machine with what happened and then does what the step says, in this order:
// the phase is entered first, then the guest is paused or resumed, then the frame is sent. So a
// source whose commit may have left is `committed` whatever the write returns.
#pragma once

#include <cstdint>
#include <optional>

#include "vmm/migration/frame.h"

namespace shoal::migration {

enum class SourceEvent {
    accepted,        // the destination said accept
    rest_is_small,   // what is still dirty fits the maximum downtime
    ready,           // the destination said ready
    taken,           // the destination said taken
    taken_in_part,   // likewise, and waits for pages (post-copy)
    filled,          // it has all pages
    refused,         // the destination said refused
    wire_lost,       // closed, timed out, or a frame that is damaged or out of turn
    cancelled,       // PUT /migration/cancel
    told_to_resume,  // the control plane knows that the destination does not run
    told_to_end,     // the control plane knows that it does
};

enum class SourcePhase {
    greeting,     // hello was sent; the guest runs
    copying,      // the guest runs
    stopped,      // paused; the last pages and the state are on their way
    committed,    // paused; the commit may have reached the destination
    in_doubt,     // paused; the wire was lost after the commit: only the control plane can decide
    serving,      // the guest runs there, on pages that are still here (post-copy)
    resumed,      // end: the guest runs here
    handed_over,  // end: the guest runs there and never again here
};

enum class DestinationEvent {
    hello,  // fits what was asked for
    state,  // all pages came before it, and it was loaded
    commit,
    cannot,     // what came does not fit, does not load or does not start here
    wire_lost,  // as above, and cancelled
};

enum class DestinationPhase {
    waiting,
    receiving,
    ready,      // the guest stands; a commit lets it run
    running,    // end: the guest runs here
    discarded,  // end: the guest never ran here and never will
};

// What a side does with the guest that it has.
enum class GuestAction { none, pause, resume, end };

template <typename Phase>
struct Step {
    Phase phase{};
    GuestAction action = GuestAction::none;
    std::optional<FrameKind> send;
};

// Nothing: the event means nothing in this phase. When a peer's frame caused it, the caller feeds
// wire_lost instead; when a user did, it is refused.
[[nodiscard]] std::optional<Step<SourcePhase>> next(SourcePhase phase, SourceEvent event) noexcept;
[[nodiscard]] std::optional<Step<DestinationPhase>> next(DestinationPhase phase,
                                                         DestinationEvent event) noexcept;

}  // namespace shoal::migration
