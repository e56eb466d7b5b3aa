// The ELF loader. The file is whatever the initramfs holds: every number is checked before use.
#include "guest/kernel/program.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace shoal::guest {
namespace {

constexpr std::size_t max_program_headers = 128;

bool read_whole(const InodeRef& file, std::uint64_t offset, void* to, std::size_t size_bytes) {
    return file->read_at(offset, {static_cast<std::byte*>(to), size_bytes}) == size_bytes;
}

bool is_executable(const Elf64_Ehdr& header) {
    return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
           header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == ELFDATA2LSB &&
           header.e_machine == EM_X86_64 && (header.e_type == ET_EXEC || header.e_type == ET_DYN) &&
           header.e_phentsize == sizeof(Elf64_Phdr) && header.e_phnum > 0 &&
           header.e_phnum <= max_program_headers;
}

unsigned protection_of(const Elf64_Phdr& segment) {
    return ((segment.p_flags & PF_R) != 0 ? prot_read : 0) |
           ((segment.p_flags & PF_W) != 0 ? prot_write : 0) |
           ((segment.p_flags & PF_X) != 0 ? prot_execute : 0);
}

std::uint64_t page_down(std::uint64_t value) {
    return value & ~(page_size - 1);
}
std::uint64_t page_up(std::uint64_t value) {
    return page_down(value + page_size - 1);
}

bool is_sound(const Elf64_Phdr& segment) {
    return segment.p_filesz <= segment.p_memsz && segment.p_vaddr < user_end &&
           segment.p_memsz <= user_end - segment.p_vaddr &&
           segment.p_vaddr % page_size == segment.p_offset % page_size &&
           segment.p_offset + segment.p_filesz >= segment.p_offset;
}

Result<void> map_segment(AddressSpace& space, const InodeRef& file, const Elf64_Phdr& segment,
                         std::uint64_t base) {
    const std::uint64_t start = base + segment.p_vaddr;
    const std::uint64_t file_end = start + segment.p_filesz;
    const std::uint64_t end = start + segment.p_memsz;
    if (segment.p_filesz > 0) {
        const auto mapped =
            space.map({page_down(start), file_end - page_down(start), protection_of(segment),
                       Placement::exclusive, file, page_down(segment.p_offset)});
        if (!mapped) {
            return std::unexpected(mapped.error());
        }
        space.prefetch(page_down(start), page_up(file_end) - page_down(start));
    }
    const std::uint64_t bss = segment.p_filesz > 0 ? page_up(file_end) : page_down(start);
    if (page_up(end) > bss) {
        const auto mapped = space.map(
            {bss, page_up(end) - bss, protection_of(segment), Placement::exclusive, {}, 0});
        if (!mapped) {
            return std::unexpected(mapped.error());
        }
    }
    // The file's last page goes on with zeros, not with what follows in the file.
    if (segment.p_memsz > segment.p_filesz && segment.p_filesz > 0 &&
        (segment.p_flags & PF_W) != 0) {
        const std::uint64_t tail = std::min(bss, end) - file_end;
        if (!space.resolve_all(file_end, tail, Access::write)) {
            return std::unexpected(Errno::noexec);
        }
        std::memset(reinterpret_cast<void*>(file_end), 0, tail);
    }
    return {};
}

}  // namespace

Result<LoadedProgram> load_program(AddressSpace& space, const InodeRef& file) {
    Elf64_Ehdr header;
    if (!read_whole(file, 0, &header, sizeof header) || !is_executable(header)) {
        return std::unexpected(Errno::noexec);
    }
    std::vector<Elf64_Phdr> segments(header.e_phnum);
    if (!read_whole(file, header.e_phoff, segments.data(), segments.size() * sizeof(Elf64_Phdr))) {
        return std::unexpected(Errno::noexec);
    }
    const std::uint64_t base = header.e_type == ET_DYN ? NUB_RELOCATED_PROGRAM : 0;
    LoadedProgram program{base + header.e_entry, 0, header.e_phnum};
    for (const Elf64_Phdr& segment : segments) {
        if (segment.p_type == PT_INTERP) {
            return std::unexpected(Errno::noexec);
        }
        if (segment.p_type != PT_LOAD || segment.p_memsz == 0) {
            continue;
        }
        if (!is_sound(segment)) {
            return std::unexpected(Errno::noexec);
        }
        if (header.e_phoff >= segment.p_offset &&
            header.e_phoff - segment.p_offset < segment.p_filesz) {
            program.program_headers = base + segment.p_vaddr + (header.e_phoff - segment.p_offset);
        }
        if (const auto mapped = map_segment(space, file, segment, base); !mapped) {
            return std::unexpected(mapped.error());
        }
    }
    return program;
}

}  // namespace shoal::guest
