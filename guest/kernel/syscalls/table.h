// The table of system calls: by number, what Linux calls it and who serves it.
#pragma once

#include "guest/kernel/registers.h"
#include "guest/kernel/syscalls/calls.h"

namespace shoal::guest {

// Serves the call in `registers` (number in rax, arguments in rdi, rsi, rdx, r10, r8, r9) and puts
// the result into rax.
void serve_syscall(Process& process, Registers& registers);

}  // namespace shoal::guest
