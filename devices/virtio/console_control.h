// ConsoleControl: the console's conversation with the driver about its ports (virtio 1.2, 5.3.6.2).
//
// What the driver is to be told waits for its buffers as one bit for each kind of message and port,
// so that a driver that asks and never listens fills nothing.
// No locks: the console holds the device's mutex in every call.
#pragma once

#include <cstdint>
#include <expected>
#include <utility>
#include <vector>

#include "devices/abi/virtio_console.h"
#include "devices/virtio/console_port.h"
#include "devices/virtio/queue.h"

namespace shoal::virtio {

class ConsoleControl {
public:
    // Borrows the ports.
    explicit ConsoleControl(std::vector<ConsolePort*> ports)
        : ports_{std::move(ports)}, due_(ports_.size()) {}

    // Takes the driver's messages, `limit` at most, and opens and closes ports. True: there may be
    // more.
    [[nodiscard]] std::expected<bool, QueueError> read(Queue& transmit,
                                                       std::uint32_t limit) noexcept;
    // Tells the driver what is due, as far as it gave buffers.
    [[nodiscard]] std::expected<void, QueueError> write(Queue& receive) noexcept;

    void reset() noexcept;

    // What is due, for each port.
    [[nodiscard]] const std::vector<std::uint32_t>& save() const noexcept { return due_; }
    // `due` has an entry for each port.
    void restore(const std::vector<std::uint32_t>& due) { due_ = due; }

private:
    void answer(const abi::virtio::console::Control& message) noexcept;
    [[nodiscard]] std::expected<std::uint32_t, QueueError> fill(
        const Chain& chain, const abi::virtio::console::Control& message) const noexcept;

    std::vector<ConsolePort*> ports_;
    std::vector<std::uint32_t> due_;  // for each port, a bit for each kind of message
};

}  // namespace shoal::virtio
