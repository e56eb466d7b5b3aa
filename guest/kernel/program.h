// Program: an x86-64 Linux executable (ELF, static, fixed or position-independent) and its start.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "guest/kernel/address_space.h"
#include "guest/kernel/errno.h"
#include "guest/kernel/registers.h"

namespace shoal::guest {

struct LoadedProgram {
    std::uint64_t entry = 0;
    std::uint64_t program_headers = 0;  // where AT_PHDR finds them
    std::uint64_t program_header_count = 0;
};

// Maps the program's segments. ENOEXEC for what is not such an executable, ENOMEM when its
// segments lie where no program may.
[[nodiscard]] Result<LoadedProgram> load_program(AddressSpace& space, const InodeRef& file);

struct StartArguments {
    std::vector<std::string_view> arguments;
    std::vector<std::string_view> environment;
    std::string_view path;
};

// Lays out the initial stack (System V ABI for x86-64, 3.4.1) and returns the first registers.
// E2BIG when the words do not fit.
[[nodiscard]] Result<Registers> make_initial_stack(AddressSpace& space,
                                                   const LoadedProgram& program,
                                                   const StartArguments& start);

}  // namespace shoal::guest
