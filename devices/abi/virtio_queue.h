// Split virtqueues in memory (virtio 1.2, 2.7). Little endian.
#pragma once

#include <cstddef>
#include <cstdint>

namespace shoal::abi::virtio {

struct Descriptor {
    std::uint64_t address;  // guest-physical
    std::uint32_t size_bytes;
    std::uint16_t flags;
    std::uint16_t next;
};
static_assert(sizeof(Descriptor) == 16);

namespace descriptor_flag {
inline constexpr std::uint16_t next = 1;
inline constexpr std::uint16_t write = 2;  // the device writes
inline constexpr std::uint16_t indirect = 4;
}  // namespace descriptor_flag

struct UsedElement {
    std::uint32_t id;          // head of the chain
    std::uint32_t size_bytes;  // written by the device
};
static_assert(sizeof(UsedElement) == 8);

// The avail ring: flags, idx, ring[size], used_event.
inline constexpr std::uint16_t avail_no_interrupt = 1;
inline constexpr std::uint64_t avail_idx_offset = 2;
inline constexpr std::uint64_t avail_ring_offset = 4;
constexpr std::uint64_t avail_used_event_offset(std::uint64_t size) {
    return 4 + 2 * size;
}
constexpr std::uint64_t avail_bytes(std::uint64_t size) {
    return 6 + 2 * size;
}

// The used ring: flags, idx, ring[size], avail_event.
inline constexpr std::uint16_t used_no_notify = 1;
inline constexpr std::uint64_t used_idx_offset = 2;
inline constexpr std::uint64_t used_ring_offset = 4;
constexpr std::uint64_t used_avail_event_offset(std::uint64_t size) {
    return 4 + 8 * size;
}
constexpr std::uint64_t used_bytes(std::uint64_t size) {
    return 6 + 8 * size;
}

inline constexpr std::uint64_t descriptor_table_alignment = 16;
inline constexpr std::uint64_t avail_alignment = 2;
inline constexpr std::uint64_t used_alignment = 4;

// Whether moving an index from `before` to `now` passes `event` (virtio 1.2, 2.7.7.2 and 2.7.10).
constexpr bool passes_event(std::uint16_t event, std::uint16_t now, std::uint16_t before) {
    return static_cast<std::uint16_t>(now - event - 1) < static_cast<std::uint16_t>(now - before);
}

}  // namespace shoal::abi::virtio
