// bzImage: Linux as distributions ship it, entered by the 64-bit boot protocol
// (Documentation/arch/x86/boot.rst).
#pragma once

#include <asm/bootparam.h>

#include "devices/machine/guest_memory.h"
#include "vmm/boot/image_file.h"

namespace shoal::boot {

struct BzImage {
    machine::Gpa entry;
    machine::Gpa end;              // past what the kernel needs while it decompresses itself
    std::uint64_t initrd_end = 0;  // the initrd must lie below
    setup_header header;           // as the image has it, for the zero page
};

// Whether the file carries the boot protocol's magic number.
[[nodiscard]] bool is_bzimage(const ImageFile& file);

// Copies the protected-mode kernel to where it prefers to be. Throws BootError.
[[nodiscard]] BzImage load_bzimage(const machine::GuestMemory& memory, const ImageFile& file);

}  // namespace shoal::boot
