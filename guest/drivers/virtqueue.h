// Virtqueue: the driver's side of one split virtqueue (virtio 1.2, 2.7), without chains: every
// buffer is one descriptor, and its slot is its name.
//
// Ring memory is given by the caller: zeroed, physically contiguous, page-aligned, never freed.
// One vCPU; the device may run at any time on another CPU, hence the barriers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "devices/abi/virtio_queue.h"

namespace shoal::guest {

struct UsedBuffer {
    std::uint16_t slot;
    std::uint32_t size_bytes;  // written by the device
};

class Virtqueue {
public:
    static constexpr std::uint16_t size = 16;
    // Descriptors, avail and used ring, one behind the other.
    static constexpr std::size_t memory_bytes = 512;

    // `memory` is memory_bytes long at physical address `physical`.
    Virtqueue(std::byte* memory, std::uint64_t physical);

    [[nodiscard]] std::uint64_t descriptors_address() const { return physical_; }
    [[nodiscard]] std::uint64_t avail_address() const { return physical_ + avail_offset; }
    [[nodiscard]] std::uint64_t used_address() const { return physical_ + used_offset; }

    enum class Direction { to_device, from_device };
    // Makes the buffer available in slot (0 to size - 1), which must be free.
    void put(std::uint16_t slot, std::uint64_t physical, std::uint32_t size_bytes,
             Direction direction);
    // The next buffer that the device is done with.
    [[nodiscard]] std::optional<UsedBuffer> take_used();
    [[nodiscard]] bool has_used() const;
    // Whether the device wants to be told of what was put since the last call.
    [[nodiscard]] bool needs_notify();

    enum class Interrupts { off, on };
    // A hint; the caller checks has_used() after switching on, before it waits.
    void set_interrupts(Interrupts interrupts);

private:
    static constexpr std::size_t avail_offset = size * sizeof(abi::virtio::Descriptor);
    static constexpr std::size_t used_offset = avail_offset + 64;
    static_assert(abi::virtio::avail_bytes(size) <= 64);
    static_assert(used_offset + abi::virtio::used_bytes(size) <= memory_bytes);

    [[nodiscard]] volatile std::uint16_t& avail_word(std::uint64_t offset) const;
    [[nodiscard]] volatile std::uint16_t& used_word(std::uint64_t offset) const;

    std::byte* memory_;
    std::uint64_t physical_;
    std::uint16_t next_avail_ = 0;  // free-running, as the rings' indices
    std::uint16_t next_used_ = 0;
};

}  // namespace shoal::guest
