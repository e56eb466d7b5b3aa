// BusDevice: what answers the guest's port or memory-mapped accesses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace shoal::machine {

// `offset` counts from the start of the device's range; data holds 1, 2, 4 or 8 bytes, little
// endian, and the bus has checked that the access lies within the range.
// Called on vCPU threads, several at once: a device with state locks it. Neither call may throw
// or block on the host's I/O.
class BusDevice {
public:
    virtual ~BusDevice() = default;
    virtual void read(std::uint64_t offset, std::span<std::byte> data) noexcept = 0;
    virtual void write(std::uint64_t offset, std::span<const std::byte> data) noexcept = 0;
};

}  // namespace shoal::machine
