// The vDSO in programs: how they find the time without a system call.
//
// It is a mapping of a file that has no place in the tree, so whatever a program does with it
// (fork, munmap, even writing there after mprotect) works as with any library.
#pragma once

#include "guest/kernel/address_space.h"
#include "guest/kernel/errno.h"
#include "guest/vdso/kvm_clock.h"

namespace shoal::guest {

// Its source: the clock (clock.h) keeps it. By this name the nub knows its place.
extern VdsoData vdso_data asm("shoal_vdso_data");

// Maps it into a program and returns its address, AT_SYSINFO_EHDR. Errno::nomem.
[[nodiscard]] Result<std::uint64_t> map_vdso(AddressSpace& space);

}  // namespace shoal::guest
