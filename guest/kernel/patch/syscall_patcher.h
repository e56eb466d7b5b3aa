// SyscallPatcher: finds the system calls that a program makes often, and turns their instructions
// into jumps (syscall_site.h).
//
// Only code of files is changed, in pages of the program's own that no other mapping sees, and only
// after a `syscall` there has been executed, so that an instruction surely starts there. One per
// microVM, one vCPU.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "guest/kernel/address_space.h"
#include "guest/kernel/registers.h"

namespace shoal::guest {

class SyscallPatcher {
public:
    // A `syscall` before `return_address` entered the kernel the slow way.
    void note(AddressSpace& memory, std::uint64_t return_address);

    // A breakpoint: if the program jumped into a changed site, moves rip to where that goes on and
    // returns true.
    [[nodiscard]] bool resolve_breakpoint(Registers& registers) const;

    // The address of the program's that stands for rip: the one behind the system call when rip
    // lies in a stub. For what the program gets to see.
    [[nodiscard]] std::uint64_t program_address(std::uint64_t rip) const;

private:
    static constexpr std::size_t max_next_bytes = 10;
    static constexpr std::size_t max_patches = 512;
    static constexpr unsigned hot_count = 16;

    struct Counter {
        std::uint64_t address = 0;
        unsigned count = 0;
    };
    struct Patch {
        std::uint64_t site;
        std::uint64_t stub;
        std::array<std::uint8_t, max_next_bytes> next;
        std::size_t next_bytes;
    };

    void patch(AddressSpace& memory, std::uint64_t site);
    [[nodiscard]] const Patch* stub_for(AddressSpace& memory, std::uint64_t site,
                                        std::span<const std::uint8_t> next);
    [[nodiscard]] bool is_taken(std::uint64_t stub) const;

    std::array<Counter, 64> counters_{};
    std::vector<Patch> patches_;
};

}  // namespace shoal::guest
