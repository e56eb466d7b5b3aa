// The device tree: the machine in the form that libfdt writes (Devicetree Specification 0.4).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "devices/machine/guest_memory.h"
#include "firmware/machine_layout.h"

namespace shoal::firmware {

// Writes it at abi::device_tree and returns its size. Describes CPUs, memory, serial port, virtio
// devices, command line and initrd.
std::uint32_t write_device_tree(const machine::GuestMemory& memory, const MachineLayout& layout,
                                const std::string& command_line,
                                const std::optional<InitrdPlace>& initrd);

}  // namespace shoal::firmware
