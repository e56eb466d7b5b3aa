// The zero page: struct boot_params, what Linux is told by its 64-bit boot protocol.
#pragma once

#include <asm/bootparam.h>

#include <cstdint>
#include <optional>

#include "devices/machine/guest_memory.h"
#include "firmware/machine_layout.h"

namespace shoal::firmware {

struct ZeroPage {
    // From a bzImage; for an ELF kernel one with what the protocol requires: make_setup_header().
    setup_header header;
    std::uint32_t command_line_bytes = 0;  // without the NUL
    std::optional<InitrdPlace> initrd;
    machine::Gpa rsdp;
    std::uint32_t device_tree_bytes = 0;  // at abi::device_tree
};

[[nodiscard]] setup_header make_setup_header();

// Writes it at abi::zero_page, and the setup_data node that announces the device tree right before
// the tree.
void write_zero_page(const machine::GuestMemory& memory, const ZeroPage& page);

}  // namespace shoal::firmware
