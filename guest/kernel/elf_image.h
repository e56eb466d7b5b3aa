// ElfImage: an x86-64 ELF file on its way into a program's memory: the program or its interpreter.
//
// The file is whatever the root holds: every number is checked before use.
#pragma once

#include <cstdint>
#include <vector>

#include "guest/kernel/address_space.h"
#include "guest/kernel/errno.h"

namespace shoal::guest {

enum class ImageRole {
    program,      // at its fixed address, or where position-independent programs go
    interpreter,  // beside it, anywhere
};

struct ElfImage {
    std::uint64_t base = 0;  // what was added to the file's addresses
    std::uint64_t entry = 0;
    std::uint64_t program_headers = 0;  // where AT_PHDR finds them; 0 when they are not mapped
    std::uint64_t program_header_count = 0;
    std::vector<char> interpreter;  // PT_INTERP, a path; empty for a static program
};

// Maps the segments. ENOEXEC for what is not such a file, ENOMEM or EEXIST when its segments lie
// where no program may.
[[nodiscard]] Result<ElfImage> map_elf_image(AddressSpace& space, const EntryRef& file,
                                             ImageRole role);

}  // namespace shoal::guest
