// The microVM's physical address map: where RAM, tables and devices lie. Host and guest share it.
//
//   0x0000'0000  RAM (boot structures below 640 KiB, ACPI tables in the BIOS area)
//   0x0010'0000  RAM: the kernel and everything after it
//   0xC000'0000  hole: boot timer, virtio-mmio devices, I/O APIC, local APIC
//   0x1'0000'0000  RAM beyond 3 GiB continues here
//
// Addresses are guest-physical, sizes in bytes. Values that Linux, PVH or Firecracker fix say so.
#pragma once

#include <cstddef>
#include <cstdint>

namespace shoal::abi {

inline constexpr std::uint64_t page_size = 4096;

// RAM
inline constexpr std::uint64_t min_ram_bytes = 1ULL << 20;
inline constexpr std::uint64_t ram_hole_start = 0xC000'0000;
inline constexpr std::uint64_t ram_hole_end = 0x1'0000'0000;

// Boot structures below 640 KiB. Each is a page or more of its own.
inline constexpr std::uint64_t gdt_start = 0x500;
inline constexpr std::uint64_t pvh_start_info = 0x6000;  // start info, module list, memory map
inline constexpr std::uint64_t zero_page = 0x7000;       // struct boot_params
inline constexpr std::uint64_t boot_stack_top = 0x8ff0;
inline constexpr std::uint64_t page_tables = 0x9000;  // PML4, PDPT, four PDs: 6 pages
inline constexpr std::uint64_t page_tables_end = 0xF000;
inline constexpr std::uint64_t command_line = 0x20000;
inline constexpr std::size_t command_line_max_bytes =
    2048;  // COMMAND_LINE_SIZE of Linux x86, with NUL
inline constexpr std::uint64_t device_tree = 0x40000;
inline constexpr std::size_t device_tree_max_bytes = 0x10000;
inline constexpr std::uint64_t low_ram_end = 0x9FC00;      // below the extended BIOS data area
inline constexpr std::uint64_t acpi_tables = 0xE0000;      // Linux looks for the RSDP from here
inline constexpr std::uint64_t generation_area = 0xF0000;  // generation.h; behind the tables
inline constexpr std::uint64_t acpi_tables_end = 0x100000;
inline constexpr std::uint64_t kernel_start = 0x100000;

// Memory-mapped devices
inline constexpr std::uint64_t boot_timer_start = 0xC000'0000;  // fixed by Firecracker
inline constexpr std::uint64_t virtio_mmio_start = 0xC000'1000;
inline constexpr std::uint64_t virtio_mmio_size = 0x1000;
inline constexpr std::uint64_t ready_start = 0xC010'0000;  // devices/legacy/ready.h
inline constexpr std::uint64_t ioapic_start = 0xFEC0'0000;
inline constexpr std::uint64_t local_apic_start = 0xFEE0'0000;
inline constexpr std::uint64_t kvm_identity_map = 0xFFFB'C000;  // one page, Intel hosts only
inline constexpr std::uint64_t kvm_tss = 0xFFFB'D000;           // three pages, Intel hosts only

// Ports
inline constexpr std::uint16_t serial_port = 0x3F8;  // COM1, 8 ports
inline constexpr std::uint16_t i8042_port = 0x60;    // data 0x60, command 0x64
inline constexpr std::uint16_t exit_port = 0x501;    // QEMU's isa-debug-exit; 32-bit write
inline constexpr std::uint16_t power_port = 0x600;   // ACPI's sleep control, sleep status
inline constexpr std::uint8_t sleep_type_off = 5;    // what switches off there; the DSDT says so

// Interrupts (global system interrupts of the I/O APIC; below 16 also ISA lines)
inline constexpr std::uint32_t i8042_gsi = 1;
inline constexpr std::uint32_t generation_gsi = 3;
inline constexpr std::uint32_t serial_gsi = 4;
inline constexpr std::uint32_t virtio_first_gsi = 5;
inline constexpr std::uint32_t ioapic_pins = 24;
inline constexpr std::uint32_t max_virtio_devices = ioapic_pins - virtio_first_gsi;

inline constexpr std::uint32_t max_vcpus = 32;

// The value a guest writes to the boot timer when its first program is about to run (Firecracker).
inline constexpr std::uint8_t boot_timer_magic = 123;

}  // namespace shoal::abi
