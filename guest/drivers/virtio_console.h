// VirtioConsole: the driver of a multiport virtio console (virtio 1.2, 5.3) over virtio-mmio.
//
// Port 0 carries standard input and output, port 1 standard error; a console with one port carries
// all. End of input is the device's closing of port 0. Output is copied into buffers that the
// device drains by itself; register accesses and interrupts are few, since each costs an exit.
// One vCPU: no locks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "devices/abi/virtio_console.h"
#include "guest/drivers/virtio_mmio.h"
#include "guest/drivers/virtqueue.h"

namespace shoal::guest {

class VirtioConsole {
public:
    // Sets the device up. Ends the microVM when it refuses.
    explicit VirtioConsole(const VirtioMmioPlace& place);

    // Returns when all is queued. Output to one port leaves before later output to the other.
    void write(std::uint32_t port, std::span<const std::byte> bytes);
    // Before the microVM ends: returns when no output can be lost.
    void flush();

    // What has arrived; 0 when nothing has, or at the end of input: see at_end().
    [[nodiscard]] std::size_t read(std::span<std::byte> to);
    [[nodiscard]] bool has_input();
    [[nodiscard]] bool at_end();

    // Interrupts on input or its end from now on.
    void expect_input();
    // After a wait: lets the device interrupt again.
    void acknowledge_interrupt() { device_.acknowledge_interrupt(); }

private:
    static constexpr std::uint32_t port_count = 2;
    static constexpr std::uint32_t transmit_bytes = 64 * 1024;  // a buffer's
    static constexpr std::uint32_t receive_bytes = 32 * 1024;
    static constexpr std::uint16_t receive_slots = 8;

    struct Transmitter {
        Virtqueue queue;
        std::array<std::byte*, Virtqueue::default_size> buffers{};  // made at first use
        std::uint32_t busy = 0;                                     // bit n: slot n is the device's
    };

    [[nodiscard]] Virtqueue make_queue(std::uint32_t idx);
    void negotiate();
    void open_ports(RegisterBatch& batch);
    void collect(Transmitter& transmitter);
    void drain(Transmitter& transmitter);
    [[nodiscard]] std::uint16_t take_free_slot(Transmitter& transmitter);
    void wait_for_used(Virtqueue& queue);
    void read_control();

    VirtioMmio device_;
    bool multiport_ = false;
    bool input_closed_ = false;
    std::byte* ring_memory_;
    std::size_t rings_made_ = 0;
    Virtqueue receive_;
    std::array<Transmitter, port_count> transmit_;
    Virtqueue control_receive_;
    Virtqueue control_transmit_;
    std::byte* receive_memory_;
    std::optional<UsedBuffer> current_;  // being read
    std::size_t current_at_ = 0;
    std::uint32_t last_port_ = 0;
};

}  // namespace shoal::guest
