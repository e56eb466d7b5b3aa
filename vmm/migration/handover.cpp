// The two tables.
#include "vmm/migration/handover.h"

namespace shoal::migration {
namespace {

using SourceStep = std::optional<Step<SourcePhase>>;
using DestinationStep = std::optional<Step<DestinationPhase>>;

bool is_failure(SourceEvent event) {
    return event == SourceEvent::refused || event == SourceEvent::wire_lost ||
           event == SourceEvent::cancelled;
}

// The guest runs: it does not even notice a failure.
SourceStep while_running(SourcePhase phase, SourceEvent event) {
    if (is_failure(event)) {
        return {{SourcePhase::resumed, GuestAction::none, {}}};
    }
    if (phase == SourcePhase::greeting && event == SourceEvent::accepted) {
        return {{SourcePhase::copying, GuestAction::none, {}}};
    }
    if (phase == SourcePhase::copying && event == SourceEvent::rest_is_small) {
        return {{SourcePhase::stopped, GuestAction::pause, FrameKind::state}};
    }
    return std::nullopt;
}

// No commit has left, so the destination cannot run.
SourceStep while_stopped(SourceEvent event) {
    if (is_failure(event)) {
        return {{SourcePhase::resumed, GuestAction::resume, {}}};
    }
    if (event == SourceEvent::ready) {
        return {{SourcePhase::committed, GuestAction::none, FrameKind::commit}};
    }
    return std::nullopt;
}

// Too late to cancel. Only the destination's own word that it does not run lets the guest go on.
SourceStep while_committed(SourceEvent event) {
    switch (event) {
        case SourceEvent::taken:
            return {{SourcePhase::handed_over, GuestAction::end, {}}};
        case SourceEvent::taken_in_part:
            return {{SourcePhase::serving, GuestAction::none, {}}};
        case SourceEvent::refused:
            return {{SourcePhase::resumed, GuestAction::resume, {}}};
        case SourceEvent::wire_lost:
            return {{SourcePhase::in_doubt, GuestAction::none, {}}};
        default:
            return std::nullopt;
    }
}

// The guest has run there, so whatever becomes of it, it never runs here again.
SourceStep while_serving(SourceEvent event) {
    if (event == SourceEvent::filled || event == SourceEvent::wire_lost ||
        event == SourceEvent::refused) {
        return {{SourcePhase::handed_over, GuestAction::end, {}}};
    }
    return std::nullopt;
}

SourceStep while_in_doubt(SourceEvent event) {
    if (event == SourceEvent::told_to_resume) {
        return {{SourcePhase::resumed, GuestAction::resume, {}}};
    }
    if (event == SourceEvent::told_to_end) {
        return {{SourcePhase::handed_over, GuestAction::end, {}}};
    }
    return std::nullopt;
}

DestinationStep take_next_message(DestinationPhase phase, DestinationEvent event) {
    if (phase == DestinationPhase::waiting && event == DestinationEvent::hello) {
        return {{DestinationPhase::receiving, GuestAction::none, FrameKind::accept}};
    }
    if (phase == DestinationPhase::receiving && event == DestinationEvent::state) {
        return {{DestinationPhase::ready, GuestAction::none, FrameKind::ready}};
    }
    if (phase == DestinationPhase::ready && event == DestinationEvent::commit) {
        return {{DestinationPhase::running, GuestAction::resume, FrameKind::taken}};
    }
    return std::nullopt;
}

}  // namespace

std::optional<Step<SourcePhase>> next(SourcePhase phase, SourceEvent event) noexcept {
    switch (phase) {
        case SourcePhase::greeting:
        case SourcePhase::copying:
            return while_running(phase, event);
        case SourcePhase::stopped:
            return while_stopped(event);
        case SourcePhase::committed:
            return while_committed(event);
        case SourcePhase::serving:
            return while_serving(event);
        case SourcePhase::in_doubt:
            return while_in_doubt(event);
        case SourcePhase::resumed:
        case SourcePhase::handed_over:
            return std::nullopt;
    }
    return std::nullopt;
}

std::optional<Step<DestinationPhase>> next(DestinationPhase phase,
                                           DestinationEvent event) noexcept {
    // A guest that runs here goes on, whatever becomes of the wire.
    if (phase == DestinationPhase::running || phase == DestinationPhase::discarded) {
        return std::nullopt;
    }
    switch (event) {
        case DestinationEvent::cannot:
            return {{DestinationPhase::discarded, GuestAction::end, FrameKind::refused}};
        case DestinationEvent::wire_lost:
            return {{DestinationPhase::discarded, GuestAction::end, {}}};
        default:
            return take_next_message(phase, event);
    }
}

}  // namespace shoal::migration
