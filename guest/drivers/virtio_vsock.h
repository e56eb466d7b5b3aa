// VirtioVsock: the driver of a socket device (virtio 1.2, 5.10) over virtio-mmio.
//
// Packets lie in pages that belong to the driver: what is received is looked at there and given
// back, what is sent is written there. One vCPU; all lengths are the driver's own or checked.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "guest/drivers/virtio_mmio.h"
#include "guest/drivers/vsock_packet.h"
#include "guest/kernel/physical_memory.h"

namespace shoal::guest {

class VirtioVsock {
public:
    static constexpr std::size_t payload_bytes_max = page_size - sizeof(abi::virtio::vsock::Header);

    // nullptr when memory is gone. Ends the microVM if the device refuses to be driven.
    [[nodiscard]] static VirtioVsock* start(const VirtioMmioPlace& place);

    [[nodiscard]] std::uint64_t guest_cid() const { return guest_cid_; }

    // The next packet that is for this guest. Its payload is valid until the next call, which
    // gives its page back.
    [[nodiscard]] std::optional<VsockPacket> receive();

    // Where the next packet's payload goes; empty while the queue has no room for data. A part of
    // the queue is kept for packets without any.
    [[nodiscard]] std::span<std::byte> payload_room();
    // Sends what was written into payload_room(); header.len says how much.
    void send_data(abi::virtio::vsock::Header header);
    // Waits for the device if it must, some milliseconds at most: then the packet is lost.
    void send_control(abi::virtio::vsock::Header header);
    // Tells the device of what was queued.
    void flush();
    // Whether the device has taken everything that was sent.
    [[nodiscard]] bool is_idle();

    // Whether connections are gone, as after a restored snapshot (5.10.6.7), since it was asked.
    [[nodiscard]] bool take_transport_reset();
    // Before a wait: an interrupt comes from now on. False when there is something already.
    [[nodiscard]] bool arm_interrupts();

private:
    static constexpr std::uint16_t queue_size = 32;
    static constexpr std::size_t control_slots = 8;
    static constexpr std::size_t ring_bytes = Virtqueue::memory_bytes(queue_size);
    static constexpr std::size_t rings_bytes = 4 * page_size;  // three queues, and the event
    static_assert(ring_bytes <= page_size);

    VirtioVsock(const VirtioMmioPlace& place, std::byte* memory);
    void set_up();
    void offer(std::uint16_t slot);
    void offer_event(std::uint16_t slot);
    void reclaim();
    void put(abi::virtio::vsock::Header header);
    [[nodiscard]] std::byte* page_to_send() const { return send_pages_ + next_send() * page_size; }
    [[nodiscard]] std::uint16_t next_send() const { return free_slots_[free_count_ - 1]; }

    VirtioMmio device_;
    std::uint64_t guest_cid_ = 0;
    Virtqueue receive_;
    Virtqueue transmit_;
    Virtqueue event_;
    std::byte* event_bytes_;
    std::byte* receive_pages_;
    std::byte* send_pages_;
    std::optional<std::uint16_t> lent_{};                 // the slot of the packet at hand
    std::array<std::uint16_t, queue_size> free_slots_{};  // of the transmit queue
    std::array<bool, queue_size> is_sending_{};
    std::size_t free_count_ = queue_size;
    bool wants_room_ = false;
    bool has_sent_ = false;      // since the last flush()
    bool has_offered_ = false;   // the same
    bool has_used_any_ = false;  // so that the device may have interrupted
};

}  // namespace shoal::guest
