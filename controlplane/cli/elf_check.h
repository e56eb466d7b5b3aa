// Can the unikernel run this file? Told before a microVM is made, in one sentence.
#pragma once

#include <string>

namespace shoal::cli {

// Reads the headers of `fd`, which `name` is shown for. Throws CliError (not_executable) unless it
// is an x86-64 ELF program, fixed or position-independent, that needs no dynamic linker.
void check_static_program(int fd, const std::string& name);

}  // namespace shoal::cli
