// Reads as much of an ELF file (System V ABI, chapters 4 and 5) as tells whether it is static.
#include "controlplane/cli/elf_check.h"

#include <elf.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <span>
#include <string_view>

#include "controlplane/cli/cli_error.h"

namespace shoal::cli {
namespace {

constexpr std::size_t program_headers_max = 128;  // real programs have about ten

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
    throw CliError(name + " " + why, ExitCode::not_executable);
}

// False when the file ends before.
bool read_at(int fd, std::uint64_t offset, std::span<std::byte> into) noexcept {
    const ssize_t count = ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
    return count == static_cast<ssize_t>(into.size());
}

Elf64_Ehdr read_header(int fd, const std::string& name) {
    Elf64_Ehdr header{};
    std::array<char, 2> start{};
    if (read_at(fd, 0, std::as_writable_bytes(std::span{start})) &&
        std::string_view{start.data(), start.size()} == "#!") {
        refuse(name, "is a script: run its interpreter, with the script in --root");
    }
    if (!read_at(fd, 0, std::as_writable_bytes(std::span{&header, 1})) ||
        std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
        refuse(name, "is not an ELF program");
    }
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64) {
        refuse(name, "is an ELF file of class " + std::to_string(header.e_ident[EI_CLASS]) +
                         " for machine " + std::to_string(header.e_machine) +
                         ": microVMs run x86-64 programs (class 2, machine 62)");
    }
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
        refuse(name, "is an ELF file of type " + std::to_string(header.e_type) + ", not a program");
    }
    return header;
}

std::string read_interpreter(int fd, const Elf64_Phdr& segment) {
    std::array<char, 256> path{};
    const std::size_t size = std::min<std::size_t>(segment.p_filesz, path.size() - 1);
    if (!read_at(fd, segment.p_offset, std::as_writable_bytes(std::span{path}.first(size)))) {
        return "a dynamic linker";
    }
    return path.data();
}

}  // namespace

void check_static_program(int fd, const std::string& name) {
    const Elf64_Ehdr header = read_header(fd, name);
    if (header.e_phnum > program_headers_max || header.e_phentsize != sizeof(Elf64_Phdr)) {
        refuse(name, "has " + std::to_string(header.e_phnum) + " program headers of " +
                         std::to_string(header.e_phentsize) + " bytes: up to 128 of 56 can be run");
    }
    for (std::size_t idx = 0; idx < header.e_phnum; ++idx) {
        Elf64_Phdr segment{};
        std::uint64_t at = 0;
        if (__builtin_add_overflow(header.e_phoff, idx * sizeof segment, &at) ||
            !read_at(fd, at, std::as_writable_bytes(std::span{&segment, 1}))) {
            refuse(name, "is cut off in its program headers");
        }
        if (segment.p_type == PT_INTERP) {
            refuse(name, "is dynamically linked (it asks for " + read_interpreter(fd, segment) +
                             "): Shoal runs statically linked programs");
        }
    }
}

}  // namespace shoal::cli
