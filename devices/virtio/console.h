// Console: a multiport virtio console (virtio 1.2, 5.3) between the guest and host streams.
//
// A port's input is read only once the driver has opened the port, and never beyond the buffers
// that it gave. At the end of a port's input, after the last data, the driver is told that the port
// closed. Without the multiport feature there is port 0, and no such message.
// Streams are served on the event loop; the device's mutex guards everything.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <span>
#include <vector>

#include "devices/abi/virtio_console.h"
#include "devices/backend/stream.h"
#include "devices/host/event_fd.h"
#include "devices/virtio/device.h"

namespace shoal::virtio {

struct ConsolePortStreams {
    backend::InputStream input;
    backend::OutputStream output;
};

struct ConsoleMetrics {
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t dropped_messages = 0;  // control messages beyond the limit
};

class Console final : public Device {
public:
    // `wake` makes the event loop ask the clients again what they want. Borrowed.
    Console(std::span<const ConsolePortStreams> ports, const host::EventFd& wake);
    ~Console() override;

    // What the event loop serves. One for each port.
    [[nodiscard]] backend::StreamClient& client(std::size_t port) noexcept;
    [[nodiscard]] std::size_t port_count() const noexcept { return ports_.size(); }

    // The guest has ended: takes what it had made available and writes it out, waiting for the
    // streams as long as that takes.
    void finish() noexcept;

    [[nodiscard]] const ConsoleMetrics& metrics() const noexcept { return metrics_; }

    [[nodiscard]] std::uint32_t device_id() const noexcept override;
    [[nodiscard]] std::uint64_t features() const noexcept override;
    [[nodiscard]] std::uint32_t queue_count() const noexcept override;
    [[nodiscard]] std::uint32_t queue_size_max() const noexcept override { return 64; }
    void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override;
    void write_config(std::uint64_t, std::span<const std::byte>) noexcept override {}
    void activate(std::uint64_t features, std::span<Queue> queues,
                  Transport& transport) noexcept override;
    void reset() noexcept override;
    void process() noexcept override;

private:
    class Port;

    [[nodiscard]] std::expected<void, QueueError> read_control() noexcept;
    [[nodiscard]] std::expected<void, QueueError> write_control() noexcept;
    void answer(const abi::virtio::console::Control& message) noexcept;
    void send(std::uint32_t port, abi::virtio::console::Event event, std::uint16_t value) noexcept;

    [[nodiscard]] Queue* find_queue(std::uint32_t idx) const noexcept;

    const host::EventFd& wake_;
    // Fails the transport when `done` is an error.
    void finish_turn(const std::expected<void, QueueError>& done) noexcept;
    [[nodiscard]] std::expected<void, QueueError> process_all() noexcept;

    Transport* transport_ = nullptr;
    std::vector<std::unique_ptr<Port>> ports_;
    std::span<Queue> queues_;  // empty while the device is not active
    bool multiport_ = false;
    std::deque<abi::virtio::console::Control> to_send_;
    ConsoleMetrics metrics_;
};

}  // namespace shoal::virtio
