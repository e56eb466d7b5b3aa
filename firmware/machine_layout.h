// MachineLayout: what the tables tell a guest of its machine beyond its memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "devices/machine/gpa.h"

namespace shoal::firmware {

// A virtio-mmio device.
struct VirtioMmioSlot {
    machine::Gpa start;
    std::uint64_t size_bytes = 0;
    std::uint32_t gsi = 0;
};

struct MachineLayout {
    std::uint32_t vcpu_count = 1;
    std::span<const VirtioMmioSlot> virtio;
};

struct InitrdPlace {
    machine::Gpa start;
    std::uint64_t size_bytes = 0;
};

}  // namespace shoal::firmware
