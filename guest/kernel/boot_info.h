// BootInfo: what the machine told the kernel at its first instruction, by PVH.
#pragma once

#include <cstdint>
#include <span>

#include "guest/kernel/physical_memory.h"

namespace shoal::guest {

struct BootInfo {
    std::span<char> command_line;          // a copy that may be rewritten
    std::span<const std::byte> initramfs;  // where the loader put it
};

// Reads hvm_start_info at this physical address, and gives the RAM that is free to
// physical_memory. Ends the microVM with a sentence when it is not there or RAM is too small.
[[nodiscard]] BootInfo read_boot_info(std::uint64_t start_info);

}  // namespace shoal::guest
