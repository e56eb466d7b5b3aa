// ELF kernels: an x86-64 ELF64 file whose segments say where in guest memory they belong.
#pragma once

#include <cstdint>
#include <optional>

#include "devices/machine/guest_memory.h"
#include "vmm/boot/image_file.h"

namespace shoal::boot {

struct ElfKernel {
    machine::Gpa entry;                     // e_entry
    std::optional<machine::Gpa> pvh_entry;  // from the note XEN_ELFNOTE_PHYS32_ENTRY
    machine::Gpa end;                       // past the last segment, bss included
    std::optional<OtherCpus> other_cpus{};  // without: they wait for INIT and SIPI
    std::optional<ReadyTables> ready_tables{};
};

[[nodiscard]] bool is_elf(const ImageFile& file);

// Copies the segments to their physical addresses. What a segment has beyond its file bytes is not
// written: guest memory is zero. Throws BootError for anything that is not a sound kernel.
[[nodiscard]] ElfKernel load_elf(const machine::GuestMemory& memory, const ImageFile& file);

}  // namespace shoal::boot
