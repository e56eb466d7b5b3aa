// DirtyLog: which pages the vCPUs have written to. KVM logs while it lives.
//
// KVM knows nothing of what this process writes into the guest's memory (used rings, buffers that
// devices fill): whoever copies the memory has to add those pages.
#pragma once

#include <cstdint>
#include <span>

#include "devices/machine/guest_memory.h"
#include "vmm/kvm/vm.h"

namespace shoal::kvm {

class DirtyLog {
public:
    // Vm and memory outlive the log; `memory` is the Vm's. One log at a time. vCPUs may run. The
    // guest pays a fault for the first write to each page after each take().
    DirtyLog(Vm& vm, const machine::GuestMemory& memory);
    ~DirtyLog();
    DirtyLog(const DirtyLog&) = delete;
    DirtyLog& operator=(const DirtyLog&) = delete;

    // Adds the pages that were written to since the last call. They are counted as in the memory
    // file, without the hole below 4 GiB: page 64 * n + b is bit b of word n. The bitmap has a bit
    // for every page, rounded up to whole words. Any one thread; vCPUs may run. What they write
    // meanwhile is in this answer or in the next.
    void take(std::span<std::uint64_t> bitmap);

private:
    Vm& vm_;
    const machine::GuestMemory& memory_;
};

}  // namespace shoal::kvm
