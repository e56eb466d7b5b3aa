// Virtqueue: the driver's side of one split virtqueue (virtio 1.2, 2.7), without a list of free
// descriptors: what is put lies in the descriptors from `slot` on, and `slot` is its name.
//
// Ring memory is given by the caller: zeroed, physically contiguous, page-aligned, never freed.
// One vCPU; the device may run at any time on another CPU, hence the barriers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "devices/abi/virtio_queue.h"

namespace shoal::guest {

struct UsedBuffer {
    std::uint16_t slot;
    std::uint32_t size_bytes;  // written by the device
};

class Virtqueue {
public:
    static constexpr std::uint16_t default_size = 16;
    static constexpr std::uint16_t size_max = 256;
    // Descriptors, avail and used ring, one behind the other.
    [[nodiscard]] static constexpr std::size_t memory_bytes(std::uint16_t size) {
        return used_offset(size) + ((abi::virtio::used_bytes(size) + 15) & ~15ULL);
    }

    // `memory` is memory_bytes(size) long at physical address `physical`; `size` a power of two.
    Virtqueue(std::byte* memory, std::uint64_t physical, std::uint16_t size = default_size);

    [[nodiscard]] std::uint16_t size() const { return size_; }
    [[nodiscard]] std::uint64_t descriptors_address() const { return physical_; }
    [[nodiscard]] std::uint64_t avail_address() const { return physical_ + avail_offset(size_); }
    [[nodiscard]] std::uint64_t used_address() const { return physical_ + used_offset(size_); }

    enum class Direction { to_device, from_device };
    struct Buffer {
        std::uint64_t physical;
        std::uint32_t size_bytes;
        Direction direction;
    };
    // Makes the buffer available in slot (0 to size - 1), which must be free.
    void put(std::uint16_t slot, std::uint64_t physical, std::uint32_t size_bytes,
             Direction direction) {
        const Buffer buffer{physical, size_bytes, direction};
        put_chain(slot, {&buffer, 1});
    }
    // At least one buffer, those to the device first. Takes as many slots, from `slot` on.
    void put_chain(std::uint16_t slot, std::span<const Buffer> buffers);
    // The next buffer or chain that the device is done with.
    [[nodiscard]] std::optional<UsedBuffer> take_used();
    [[nodiscard]] bool has_used() const;
    // Whether the device wants to be told of what was put since the last call.
    [[nodiscard]] bool needs_notify();

    enum class Interrupts { off, on };
    // A hint; the caller checks has_used() after switching on, before it waits.
    void set_interrupts(Interrupts interrupts);

private:
    static constexpr std::size_t avail_offset(std::uint16_t size) {
        return size * sizeof(abi::virtio::Descriptor);
    }
    static constexpr std::size_t used_offset(std::uint16_t size) {
        return avail_offset(size) + ((abi::virtio::avail_bytes(size) + 15) & ~15ULL);
    }

    [[nodiscard]] volatile std::uint16_t& avail_word(std::uint64_t offset) const;
    [[nodiscard]] volatile std::uint16_t& used_word(std::uint64_t offset) const;
    [[nodiscard]] std::uint16_t wrap(std::uint32_t idx) const {
        return static_cast<std::uint16_t>(idx & (size_ - 1U));
    }

    std::byte* memory_;
    std::uint64_t physical_;
    std::uint16_t size_;
    std::uint16_t next_avail_ = 0;  // free-running, as the rings' indices
    std::uint16_t next_used_ = 0;
};

}  // namespace shoal::guest
