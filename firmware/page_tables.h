// Page tables for a guest that starts in long mode: the first 4 GiB, each address mapped to itself.
#pragma once

#include "devices/machine/guest_memory.h"

namespace shoal::firmware {

// Writes PML4, PDPT and four page directories of 2 MiB pages at abi::page_tables (Intel SDM 3A,
// 4.5). CR3 is then abi::page_tables.
void write_page_tables(const machine::GuestMemory& memory);

}  // namespace shoal::firmware
