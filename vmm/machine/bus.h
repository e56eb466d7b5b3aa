// Bus: finds the device that answers a port or a memory-mapped address.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/machine/bus_device.h"

namespace shoal::vmm {

// Filled before the first vCPU runs, then only read: any thread may use it.
class Bus {
public:
    // Borrows the device. SHOAL_CHECKs that the range is not empty and overlaps no other.
    void add(std::uint64_t start, std::uint64_t size_bytes, machine::BusDevice& device);

    // What nobody answers reads as all ones; writes to it are lost. Both are counted. An access
    // that crosses the end of a device's range counts as unanswered.
    void read(std::uint64_t address, std::span<std::byte> data) noexcept;
    void write(std::uint64_t address, std::span<const std::byte> data) noexcept;

    [[nodiscard]] std::uint64_t unanswered() const noexcept {
        return unanswered_.load(std::memory_order_relaxed);
    }

private:
    struct Range {
        std::uint64_t start;
        std::uint64_t size_bytes;
        machine::BusDevice* device;
    };

    [[nodiscard]] const Range* find(std::uint64_t address, std::size_t size_bytes) const noexcept;

    std::vector<Range> ranges_;  // by start
    std::atomic<std::uint64_t> unanswered_ = 0;
};

}  // namespace shoal::vmm
