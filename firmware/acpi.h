// ACPI tables of a machine without legacy hardware (ACPI 6.4, 4.1: hardware-reduced).
#pragma once

#include "devices/machine/gpa.h"
#include "devices/machine/guest_memory.h"
#include "firmware/machine_layout.h"

namespace shoal::firmware {

// Writes RSDP, XSDT, FADT, MADT and DSDT from abi::acpi_tables on, and returns the RSDP's address.
machine::Gpa write_acpi_tables(const machine::GuestMemory& memory, const MachineLayout& layout);

}  // namespace shoal::firmware
