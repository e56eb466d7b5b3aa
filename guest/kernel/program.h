// Program: an x86-64 Linux executable in memory, with its interpreter, and its start.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "guest/kernel/address_space.h"
#include "guest/kernel/errno.h"
#include "guest/kernel/fs/file_system.h"
#include "guest/kernel/registers.h"

namespace shoal::guest {

struct LoadedProgram {
    std::uint64_t start = 0;             // the first instruction: the interpreter's if there is one
    std::uint64_t entry = 0;             // the program's (AT_ENTRY)
    std::uint64_t interpreter_base = 0;  // AT_BASE
    std::uint64_t program_headers = 0;   // AT_PHDR
    std::uint64_t program_header_count = 0;
    std::uint64_t vdso = 0;  // AT_SYSINFO_EHDR
};

// Maps the program, the interpreter that it asks for (PT_INTERP) and the vDSO. ENOEXEC for what is
// no executable, ENOENT when there is no such interpreter, ELIBBAD when that is none, ENOMEM or
// EEXIST when segments lie where no program may.
[[nodiscard]] Result<LoadedProgram> load_program(AddressSpace& space, const FileSystem& files,
                                                 const EntryRef& file);

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
