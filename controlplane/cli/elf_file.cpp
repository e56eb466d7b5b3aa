// Reads the headers of an ELF file, and the strings of its dynamic section.
#include "controlplane/cli/elf_file.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

namespace shoal::cli {
namespace {

constexpr std::size_t program_headers_max = 128;  // real programs have about ten
constexpr std::size_t dynamic_entries_max = 4096;
constexpr std::size_t needed_max = 1024;
constexpr std::size_t string_size_max = 4096;  // PATH_MAX

// False when the file ends before.
template <typename T>
bool read_at(int fd, std::uint64_t offset, std::span<T> into) noexcept {
    const auto bytes = std::as_writable_bytes(into);
    const ssize_t count = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    return count == static_cast<ssize_t>(bytes.size());
}

// A NUL-terminated string of at most `size_max` bytes, the NUL included.
std::optional<std::string> read_string(int fd, std::uint64_t offset, std::uint64_t size_max) {
    std::string text(std::min<std::uint64_t>(size_max, string_size_max), '\0');
    const ssize_t count = ::pread(fd, text.data(), text.size(), static_cast<off_t>(offset));
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    const std::size_t end = text.find('\0');
    if (end == std::string::npos) {
        return std::nullopt;
    }
    text.resize(end);
    return text;
}

Elf64_Ehdr read_header(int fd) {
    Elf64_Ehdr header{};
    if (!read_at(fd, 0, std::span{&header, 1}) ||
        std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
        throw ElfError{"is not an ELF program"};
    }
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64) {
        throw ElfError{"is an ELF file of class " + std::to_string(header.e_ident[EI_CLASS]) +
                       " for machine " + std::to_string(header.e_machine) +
                       ": microVMs run x86-64 programs (class 2, machine 62)"};
    }
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
        throw ElfError{"is an ELF file of type " + std::to_string(header.e_type) +
                       ", not a program"};
    }
    if (header.e_phnum > program_headers_max || header.e_phentsize != sizeof(Elf64_Phdr)) {
        throw ElfError{"has " + std::to_string(header.e_phnum) + " program headers of " +
                       std::to_string(header.e_phentsize) + " bytes: up to 128 of 56 can be run"};
    }
    return header;
}

class Reader {
public:
    Reader(int fd, std::vector<Elf64_Phdr> segments) : fd_{fd}, segments_{std::move(segments)} {}

    [[nodiscard]] ElfFile read() const;

private:
    using Entries = std::vector<Elf64_Dyn>;

    [[nodiscard]] const Elf64_Phdr* find(std::uint32_t type) const noexcept;
    [[nodiscard]] std::optional<std::uint64_t> offset_of(std::uint64_t address) const noexcept;
    [[nodiscard]] std::optional<Entries> read_entries(const Elf64_Phdr& segment) const;
    [[nodiscard]] bool read_strings(const Entries& entries, ElfFile& file) const;

    int fd_;
    std::vector<Elf64_Phdr> segments_;
};

const Elf64_Phdr* Reader::find(std::uint32_t type) const noexcept {
    const auto found = std::ranges::find(segments_, type, &Elf64_Phdr::p_type);
    return found == segments_.end() ? nullptr : &*found;
}

// Where in the file lies what will be at this address?
std::optional<std::uint64_t> Reader::offset_of(std::uint64_t address) const noexcept {
    for (const Elf64_Phdr& segment : segments_) {
        if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
            address - segment.p_vaddr < segment.p_filesz) {
            std::uint64_t offset = 0;
            return __builtin_add_overflow(segment.p_offset, address - segment.p_vaddr, &offset)
                       ? std::nullopt
                       : std::optional{offset};
        }
    }
    return std::nullopt;
}

std::optional<Reader::Entries> Reader::read_entries(const Elf64_Phdr& segment) const {
    const std::uint64_t count = segment.p_filesz / sizeof(Elf64_Dyn);
    if (count > dynamic_entries_max) {
        return std::nullopt;
    }
    Entries entries(count);
    if (!read_at(fd_, segment.p_offset, std::span{entries})) {
        return std::nullopt;
    }
    entries.erase(std::ranges::find(entries, DT_NULL, &Elf64_Dyn::d_tag), entries.end());
    return entries;
}

bool Reader::read_strings(const Entries& entries, ElfFile& file) const {
    const auto value = [&](std::int64_t tag) {
        const auto found = std::ranges::find(entries, tag, &Elf64_Dyn::d_tag);
        return found == entries.end() ? 0 : found->d_un.d_val;
    };
    const std::uint64_t size = value(DT_STRSZ);
    const auto table = offset_of(value(DT_STRTAB));
    for (const Elf64_Dyn& entry : entries) {
        if (entry.d_tag != DT_NEEDED && entry.d_tag != DT_RPATH && entry.d_tag != DT_RUNPATH) {
            continue;
        }
        std::uint64_t at = 0;
        if (!table || entry.d_un.d_val >= size || file.needed.size() == needed_max ||
            __builtin_add_overflow(*table, entry.d_un.d_val, &at)) {
            return false;
        }
        auto text = read_string(fd_, at, size - entry.d_un.d_val);
        if (!text) {
            return false;
        }
        if (entry.d_tag == DT_NEEDED) {
            file.needed.push_back(std::move(*text));
        } else {
            (entry.d_tag == DT_RPATH ? file.rpath : file.runpath) = std::move(*text);
        }
    }
    return true;
}

ElfFile Reader::read() const {
    ElfFile file;
    if (const Elf64_Phdr* segment = find(PT_INTERP)) {
        auto path = read_string(fd_, segment->p_offset, segment->p_filesz);
        if (!path || path->empty()) {
            throw ElfError{"does not say which dynamic linker it needs"};
        }
        file.interpreter = std::move(*path);
    }
    if (const Elf64_Phdr* segment = find(PT_DYNAMIC)) {
        const auto entries = read_entries(*segment);
        if (!entries || !read_strings(*entries, file)) {
            throw ElfError{"has a damaged dynamic section"};
        }
    }
    return file;
}

}  // namespace

ElfHeaders read_elf_headers(int fd) {
    const Elf64_Ehdr header = read_header(fd);
    std::vector<Elf64_Phdr> segments(header.e_phnum);
    if (!read_at(fd, header.e_phoff, std::span{segments})) {
        throw ElfError{"is cut off in its program headers"};
    }
    return {header, std::move(segments)};
}

ElfFile read_elf_file(int fd) {
    return Reader{fd, read_elf_headers(fd).segments}.read();
}

}  // namespace shoal::cli
