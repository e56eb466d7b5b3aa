// BalloonHinting: a run of free page hinting (virtio 1.2, 5.5.6.6): who said what last.
//
// The host starts a run by a new command number in the configuration; the driver repeats the number
// and then gives pages until it says stop. Pages count only while both numbers agree. "Done" lets
// the driver have its pages back.
// No locks: the balloon holds the device's mutex in every call.
#pragma once

#include <cstdint>
#include <optional>

#include "devices/abi/virtio_balloon.h"

namespace shoal::virtio {

// Whether the device says "done" by itself when the driver stops.
enum class AcknowledgeOnStop : std::uint8_t { no, yes };

struct HintingStatus {
    std::uint32_t host_cmd = abi::virtio::balloon::hint_stop;
    std::optional<std::uint32_t> guest_cmd;

    friend bool operator==(const HintingStatus&, const HintingStatus&) = default;
};

struct HintingState {
    HintingStatus status;
    std::uint32_t last_run = abi::virtio::balloon::hint_done;
    AcknowledgeOnStop acknowledge = AcknowledgeOnStop::yes;

    friend bool operator==(const HintingState&, const HintingState&) = default;
};

class BalloonHinting {
public:
    void start(AcknowledgeOnStop acknowledge) noexcept {
        state_.acknowledge = acknowledge;
        if (++state_.last_run < abi::virtio::balloon::hint_first_run) {
            state_.last_run = abi::virtio::balloon::hint_first_run;  // after 4 billion runs
        }
        state_.status.host_cmd = state_.last_run;
    }
    void stop() noexcept { state_.status.host_cmd = abi::virtio::balloon::hint_done; }

    // A command from the driver. True: the configuration changed.
    [[nodiscard]] bool hear(std::uint32_t command) noexcept {
        state_.status.guest_cmd = command;
        if (command != abi::virtio::balloon::hint_stop || !is_run() ||
            state_.acknowledge == AcknowledgeOnStop::no) {
            return false;
        }
        stop();
        return true;
    }
    // Whether pages that come now belong to the run.
    [[nodiscard]] bool takes_pages() const noexcept {
        return is_run() && state_.status.guest_cmd == state_.status.host_cmd;
    }

    // A new driver has given nothing; the host's wish stays.
    void reset() noexcept { state_.status.guest_cmd.reset(); }

    [[nodiscard]] const HintingStatus& status() const noexcept { return state_.status; }
    [[nodiscard]] const HintingState& save() const noexcept { return state_; }
    // A run does not outlive a snapshot: the driver may have its pages back.
    void restore(const HintingState& state) noexcept {
        state_ = state;
        if (is_run()) {
            stop();
        }
    }

private:
    [[nodiscard]] bool is_run() const noexcept {
        return state_.status.host_cmd >= abi::virtio::balloon::hint_first_run;
    }

    HintingState state_;
};

}  // namespace shoal::virtio
