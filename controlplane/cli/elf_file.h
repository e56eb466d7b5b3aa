// ElfFile: what an x86-64 program or library says that it needs (System V ABI, chapters 4 and 5).
//
// Files are hostile: every number is checked, and all that is read has a limit.
#pragma once

#include <elf.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace shoal::cli {

struct ElfFile {
    std::string interpreter;          // PT_INTERP; empty for static programs and for libraries
    std::vector<std::string> needed;  // DT_NEEDED, in order
    std::string rpath;                // DT_RPATH
    std::string runpath;              // DT_RUNPATH
};

// A phrase that follows the file's name, such as "is not an ELF program".
class ElfError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// Reads the file at `fd`, whose offset stays. Throws ElfError.
[[nodiscard]] ElfFile read_elf_file(int fd);

// Its headers alone. Throws ElfError.
struct ElfHeaders {
    Elf64_Ehdr file;
    std::vector<Elf64_Phdr> segments;
};
[[nodiscard]] ElfHeaders read_elf_headers(int fd);

}  // namespace shoal::cli
