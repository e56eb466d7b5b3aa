// ChainQueue: the driver's side of a split virtqueue (virtio 1.2, 2.7) with chains of descriptors
// and event indices (VIRTIO_F_EVENT_IDX), for devices that move many buffers.
//
// What the device writes is checked: an element that names no chain in flight is dropped. One vCPU;
// the device may run at any time on another CPU, hence the barriers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "devices/abi/virtio_queue.h"

namespace shoal::guest {

class ChainQueue {
public:
    static constexpr std::uint16_t size = 256;
    // Descriptors, avail and used ring, each on a boundary of its own.
    static constexpr std::size_t memory_bytes = 8192;

    // `memory` is zeroed, physically contiguous, page-aligned and never freed; `physical` is where
    // the device finds it.
    ChainQueue(std::byte* memory, std::uint64_t physical);

    [[nodiscard]] std::uint64_t descriptors_address() const { return physical_; }
    [[nodiscard]] std::uint64_t avail_address() const { return physical_ + avail_offset; }
    [[nodiscard]] std::uint64_t used_address() const { return physical_ + used_offset; }

    enum class Direction { to_device, from_device };
    struct Piece {
        std::uint64_t physical;
        std::uint32_t size_bytes;
    };
    [[nodiscard]] std::size_t free_descriptors() const { return free_count_; }
    // Makes a chain available, at the next publish(). Needs a free descriptor for each piece, and
    // one piece at least. Returns the chain's name, below `size`.
    std::uint16_t add(std::span<const Piece> pieces, Direction direction);
    // Shows the device what was added; true when it wants a notification for it.
    [[nodiscard]] bool publish();

    // The name that the next chain will have.
    [[nodiscard]] std::uint16_t next_chain() const { return first_free_; }

    // Whether the device was to interrupt when it had used the chain.
    enum class Interrupts { none, one };
    struct Used {
        std::uint16_t chain;
        std::uint32_t size_bytes;  // written by the device, as it says
        Interrupts interrupts;
    };
    // The next chain that the device is done with; its descriptors are free again.
    [[nodiscard]] std::optional<Used> take_used();
    // An interrupt at the next use from now on, once. True when there has been one already.
    [[nodiscard]] bool arm_interrupt();
    void disarm_interrupt();

private:
    static constexpr std::size_t avail_offset = size * sizeof(abi::virtio::Descriptor);
    static constexpr std::size_t used_offset = avail_offset + 1024;
    static_assert(abi::virtio::avail_bytes(size) <= 1024);
    static_assert(used_offset + abi::virtio::used_bytes(size) <= memory_bytes);
    static constexpr std::uint16_t none = size;

    [[nodiscard]] volatile std::uint16_t& avail_word(std::uint64_t offset) const;
    [[nodiscard]] volatile std::uint16_t& used_word(std::uint64_t offset) const;
    [[nodiscard]] bool has_used() const;

    std::byte* memory_;
    std::uint64_t physical_;
    // The driver's own view of the descriptors: chains and the free list, linked by index.
    std::array<std::uint16_t, size> next_{};
    std::array<std::uint16_t, size> chain_size_{};  // of a chain's head; 0: no chain starts there
    std::uint16_t first_free_ = 0;
    std::uint16_t free_count_ = size;
    std::uint16_t next_avail_ = 0;  // free-running, as the rings' indices
    std::uint16_t published_ = 0;
    std::uint16_t next_used_ = 0;
    std::uint16_t used_event_ = 0;
};

}  // namespace shoal::guest
