// virtio-mmio version 2: registers, status bits, device ids (virtio 1.2, 4.2.2, 2.1 and 5).
#pragma once

#include <array>
#include <cstdint>

namespace shoal::abi::virtio {

// Offsets; all are 32 bits wide. r, w: who may do what.
enum class MmioRegister : std::uint64_t {
    magic = 0x000,                   // r
    version = 0x004,                 // r
    device_id = 0x008,               // r
    vendor_id = 0x00C,               // r
    device_features = 0x010,         // r
    device_features_select = 0x014,  // w
    driver_features = 0x020,         // w
    driver_features_select = 0x024,  // w
    queue_select = 0x030,            // w
    queue_size_max = 0x034,          // r
    queue_size = 0x038,              // w
    queue_ready = 0x044,             // rw
    queue_notify = 0x050,            // w
    interrupt_status = 0x060,        // r
    interrupt_acknowledge = 0x064,   // w
    status = 0x070,                  // rw
    queue_descriptors_low = 0x080,   // w
    queue_descriptors_high = 0x084,  // w
    queue_driver_low = 0x090,        // w, the avail ring
    queue_driver_high = 0x094,       // w
    queue_device_low = 0x0A0,        // w, the used ring
    queue_device_high = 0x0A4,       // w
    queue_reset = 0x0C0,             // rw, with feature::ring_reset
    shoal_writes = 0x0E0,            // w, of devices of mmio_vendor_shoal: see MmioWrites
    config_generation = 0x0FC,       // r
    config = 0x100,                  // the device's own, any width
};

inline constexpr std::uint32_t mmio_magic = 0x7472'6976;  // "virt"
inline constexpr std::uint32_t mmio_version = 2;
// Shoal's devices. Their interrupts are edges: each comes whether or not the one before was
// acknowledged.
inline constexpr std::uint32_t mmio_vendor_shoal = 0x4C4F'4853;  // "SHOL"

// Many register writes by one exit: the device does them in this order when the address of these,
// divided by mmio_writes_alignment, is written to shoal_writes. Nothing happens when they are not
// in memory or are more than there is room for; shoal_writes itself is none of them.
inline constexpr std::uint64_t mmio_writes_alignment = 64;
struct MmioWrite {
    std::uint32_t offset;
    std::uint32_t value;
};
struct MmioWrites {
    std::uint32_t count;
    std::uint32_t reserved;
    std::array<MmioWrite, 48> writes;
};

namespace status {
inline constexpr std::uint32_t acknowledge = 1;
inline constexpr std::uint32_t driver = 2;
inline constexpr std::uint32_t driver_ok = 4;
inline constexpr std::uint32_t features_ok = 8;
inline constexpr std::uint32_t device_needs_reset = 64;
inline constexpr std::uint32_t failed = 128;
}  // namespace status

namespace interrupt {
inline constexpr std::uint32_t used_buffer = 1;
inline constexpr std::uint32_t configuration_change = 2;
}  // namespace interrupt

namespace feature {
inline constexpr std::uint64_t indirect_desc = 1ULL << 28;
inline constexpr std::uint64_t event_idx = 1ULL << 29;
inline constexpr std::uint64_t version_1 = 1ULL << 32;
inline constexpr std::uint64_t ring_reset = 1ULL << 40;
}  // namespace feature

namespace device_id {
inline constexpr std::uint32_t network = 1;
inline constexpr std::uint32_t block = 2;
inline constexpr std::uint32_t console = 3;
inline constexpr std::uint32_t entropy = 4;
inline constexpr std::uint32_t balloon = 5;
inline constexpr std::uint32_t vsock = 19;
}  // namespace device_id

}  // namespace shoal::abi::virtio
