// The global descriptor table of a guest that starts in long mode.
//
// Linux's 64-bit boot protocol wants flat segments at 0x10 (code) and 0x18 (data)
// (Documentation/arch/x86/boot.rst). The VMM loads the same values into the vCPU's hidden segment
// registers, so the table is read only when the guest loads a selector.
#pragma once

#include <cstdint>

#include "devices/machine/guest_memory.h"

namespace shoal::firmware {

inline constexpr std::uint16_t code_selector = 0x10;
inline constexpr std::uint16_t data_selector = 0x18;
inline constexpr std::uint16_t gdt_limit = 4 * 8 - 1;

// Writes it at abi::gdt_start.
void write_gdt(const machine::GuestMemory& memory);

}  // namespace shoal::firmware
