// Wild addresses and sizes.
#include "tests/system/guests/hostile/arena.h"

namespace hostile {

std::uint64_t wild_address(Random& random, const Arena& arena) {
    using shoal::abi::ram_hole_end;
    using shoal::abi::ram_hole_start;
    const std::uint64_t addresses[] = {
        0,
        arena.descriptors(),
        arena.avail(),
        arena.used() + 2,
        arena.indirect(),
        arena.data() + random.below(64),
        ram_hole_start - 1,
        ram_hole_start - 4096,
        ram_hole_start,
        shoal::abi::virtio_mmio_start,
        shoal::abi::local_apic_start,
        ram_hole_end - 8,
        ram_hole_end,
        ram_end - 8,
        ram_end,
        ram_end + (1ULL << 32),
        1ULL << 63,
        ~0ULL - 7,
        ~0ULL,
        random.next(),
    };
    return random.pick(addresses);
}

std::uint32_t wild_size(Random& random) {
    const std::uint32_t sizes[] = {
        0,          1,        3,           16,       512,         4096,        65536,
        65562 + 12, 1U << 24, 0x7FFF'FFFF, 1U << 31, 0xFFFF'F000, 0xFFFF'FFFF, random.below(8192)};
    return random.pick(sizes);
}

Buffer without_image(Buffer buffer) {
    const auto start = reinterpret_cast<std::uint64_t>(image_start);
    const auto end = reinterpret_cast<std::uint64_t>(image_end);
    if (buffer.address < end && buffer.address + buffer.size_bytes > start) {
        buffer.size_bytes =
            buffer.address < start ? static_cast<std::uint32_t>(start - buffer.address) : 0;
    }
    return buffer;
}

}  // namespace hostile
