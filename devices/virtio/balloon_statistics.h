// BalloonStatistics: what the guest says about its memory, and the buffer that asks it for more.
//
// The driver leaves a buffer with the device; giving it back is the question, and the answer comes
// in the next buffer (virtio 1.2, 5.5.6.3).
// No locks: the balloon holds the device's mutex in every call.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>

#include "devices/abi/virtio_balloon.h"
#include "devices/virtio/queue.h"

namespace shoal::virtio {

// By tag: see abi::virtio::balloon::statistic_names. What the guest never said is empty.
using GuestStatistics =
    std::array<std::optional<std::uint64_t>, abi::virtio::balloon::statistic_names.size()>;

class BalloonStatistics {
public:
    struct Taken {
        std::uint64_t updates = 0;
        std::uint64_t fails = 0;  // buffers of a wrong size
        bool more = false;        // enough for one call
    };

    // Takes the driver's answers.
    [[nodiscard]] std::expected<Taken, QueueError> take(Queue& queue) noexcept;
    // Asks anew, if the driver left a buffer for it.
    void ask(Queue& queue) noexcept;
    // Forgets the buffer; what the guest said stays.
    void reset() noexcept { buffer_.reset(); }

    [[nodiscard]] const GuestStatistics& latest() const noexcept { return latest_; }
    [[nodiscard]] std::optional<std::uint16_t> buffer() const noexcept { return buffer_; }
    void restore(const GuestStatistics& latest, std::optional<std::uint16_t> buffer) noexcept {
        latest_ = latest;
        buffer_ = buffer;
    }

private:
    // False when the buffer's size is not that of some statistics.
    [[nodiscard]] bool parse(const Chain& chain) noexcept;

    GuestStatistics latest_{};
    std::optional<std::uint16_t> buffer_;  // head of the chain that the device holds
};

}  // namespace shoal::virtio
