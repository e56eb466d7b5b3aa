// Console: a multiport virtio console (virtio 1.2, 5.3) between the guest and host streams.
//
// A port's input is read only once the driver has opened the port, and never beyond the buffers
// that it gave. At the end of a port's input, after the last data, the driver is told that the port
// closed. Without the multiport feature there is port 0, always open, and no such message.
// Streams are served on the event loop; the device's mutex guards everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "devices/backend/stream.h"
#include "devices/host/event_fd.h"
#include "devices/virtio/console_control.h"
#include "devices/virtio/console_port.h"
#include "devices/virtio/device.h"
#include "devices/virtio/end_turn.h"

namespace shoal::virtio {

struct ConsoleState {
    std::vector<ConsolePortState> ports;
    std::vector<std::uint32_t> due;  // messages for the driver, a set of bits for each port

    friend bool operator==(const ConsoleState&, const ConsoleState&) = default;
};

class Console final : public Device {
public:
    static constexpr std::size_t max_ports = 8;

    // `wake` makes the event loop ask the clients again what they want. Borrowed. 1 to max_ports.
    Console(std::span<const ConsolePortStreams> ports, const host::EventFd& wake);
    ~Console() override;

    // What the event loop serves. One for each port.
    [[nodiscard]] backend::StreamClient& client(std::size_t port) noexcept;
    [[nodiscard]] std::size_t port_count() const noexcept { return ports_.size(); }

    // The guest has ended and no vCPU runs: takes what it had made available and writes it out,
    // waiting for the streams.
    void finish(backend::Patience patience) noexcept;

    // Of all ports.
    [[nodiscard]] ConsoleMetrics metrics() const noexcept;

    // While nothing runs. restore() comes after the transport's; false when the state
    // does not fit the ports and the queues: then the console is of no use.
    [[nodiscard]] ConsoleState save() const;
    [[nodiscard]] bool restore(const ConsoleState& state);

    [[nodiscard]] std::uint32_t device_id() const noexcept override;
    [[nodiscard]] std::uint64_t features() const noexcept override;
    [[nodiscard]] std::uint32_t queue_count() const noexcept override;
    [[nodiscard]] std::uint32_t queue_size_max() const noexcept override { return 64; }
    void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override;
    void write_config(std::uint64_t, std::span<const std::byte>) noexcept override {}
    void activate(std::uint64_t features, std::span<Queue> queues,
                  Transport& transport) noexcept override;
    void stop_queue(std::uint32_t idx) noexcept override;
    void reset() noexcept override;
    void process() noexcept override;

private:
    class Port;

    [[nodiscard]] Done process_all() noexcept;
    [[nodiscard]] Done send_output(std::uint32_t port) noexcept;
    [[nodiscard]] Done receive_input(std::uint32_t port) noexcept;
    [[nodiscard]] Done read_control() noexcept;
    [[nodiscard]] Done write_control() noexcept;
    void end_turn(const Done& done) noexcept {
        virtio::end_turn(*this, *transport_, queues_, done);
    }
    [[nodiscard]] ConsolePort::Progress finish_some(std::uint32_t port) noexcept;
    [[nodiscard]] std::uint32_t wishes() const noexcept;

    const host::EventFd& wake_;
    std::vector<std::unique_ptr<Port>> ports_;
    std::optional<ConsoleControl> control_;  // always there after construction
    Transport* transport_ = nullptr;         // while the device is active
    std::span<Queue> queues_;                // empty while it is not
    bool multiport_ = false;
};

}  // namespace shoal::virtio
