// Registers: a program's general registers, as entry.S saves them. No vector state: the kernel
// uses none, so it stays in the CPU.
#pragma once

#include <cstdint>

namespace shoal::guest {

struct Registers {
    std::uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    std::uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    std::uint64_t rip, rflags, rsp;
};
static_assert(sizeof(Registers) == 18 * sizeof(std::uint64_t));

}  // namespace shoal::guest

// Continues the running thread's program, whose registers lie at the top of its kernel stack.
extern "C" [[noreturn]] void shoal_resume();
