// Where each vCPU keeps the rings and buffers of each queue, and the addresses that it names
// beside.
//
// Nothing that is handed to a device to be written covers the guest's own image: the devices, not
// the guest, are to be hurt.
#pragma once

#include <cstdint>

#include "devices/abi/address_map.h"
#include "devices/abi/virtio_queue.h"
#include "tests/system/guests/hostile/random.h"

extern "C" char image_start[];
extern "C" char image_end[];

namespace hostile {

template <typename T>
T* at(std::uint64_t address) {
    return reinterpret_cast<T*>(address);
}

// A queue's memory. The used ring is only written by the device.
struct Arena {
    static constexpr std::uint32_t descriptors_max = 256;
    static constexpr std::uint64_t queue_bytes = 0x20000;
    static constexpr std::uint64_t device_bytes = 8 * queue_bytes;
    static constexpr std::uint64_t vcpu_bytes = 16 * device_bytes;
    static constexpr std::uint64_t data_bytes = 0x10000;
    static constexpr std::uint32_t header_bytes_max = 256;

    std::uint64_t start;
    std::uint64_t descriptor_table;

    static constexpr Arena of(std::uint32_t vcpu, std::uint32_t device, std::uint32_t queue) {
        const std::uint64_t start =
            0x100'0000 + vcpu * vcpu_bytes + device % 16 * device_bytes + queue % 8 * queue_bytes;
        return {start, start};
    }
    // The descriptors end where the RAM below the hole does: what comes after them is, in a machine
    // without RAM above, not the guest's memory any more.
    constexpr void move_descriptors_to_end(std::uint32_t count) {
        descriptor_table =
            shoal::abi::ram_hole_start - count * sizeof(shoal::abi::virtio::Descriptor);
    }

    [[nodiscard]] constexpr std::uint64_t descriptors() const { return descriptor_table; }
    [[nodiscard]] constexpr std::uint64_t avail() const { return start + 0x1000; }
    [[nodiscard]] constexpr std::uint64_t used() const { return start + 0x2000; }
    [[nodiscard]] constexpr std::uint64_t indirect() const { return start + 0x3000; }
    [[nodiscard]] constexpr std::uint64_t header(std::uint32_t slot) const {
        return start + 0x4000 + slot * header_bytes_max;
    }
    [[nodiscard]] constexpr std::uint64_t data() const { return start + 0x10000; }
};

struct Buffer {
    std::uint64_t address;
    std::uint32_t size_bytes;
};

// One of `arena`, or outside RAM, or across one of its ends.
std::uint64_t wild_address(Random& random, const Arena& arena);
std::uint32_t wild_size(Random& random);

// The same, but for what would cover the guest's image.
Buffer without_image(Buffer buffer);

// As the start info's memory map has it.
inline std::uint64_t ram_end = 0;

}  // namespace hostile
