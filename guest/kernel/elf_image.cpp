// The ELF loader (System V ABI, chapter 5): headers first, then one mapping for each segment.
#include "guest/kernel/elf_image.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "guest/kernel/random.h"

namespace shoal::guest {
namespace {

constexpr std::size_t max_program_headers = 128;
constexpr std::size_t max_interpreter_size = 4096;  // PATH_MAX
// Position-independent programs start at one of so many pages.
constexpr unsigned random_bits = 15;
constexpr std::uint64_t random_range = page_size << random_bits;
static_assert(NUB_RELOCATED_PROGRAM + 2 * random_range <= NUB_HEAP);
// Those with ready tables start in one of 64 large pages, behind the nub's own first tables, and
// within it where the tables say.
constexpr std::uint64_t ready_start = NUB_RELOCATED_PROGRAM + 2 * large_page_size;
constexpr std::uint64_t ready_size_max = 64ULL << 20;
static_assert(ready_start + 65 * large_page_size + ready_size_max <= NUB_HEAP);

std::uint64_t page_down(std::uint64_t value) {
    return value & ~(page_size - 1);
}
std::uint64_t page_up(std::uint64_t value) {
    return page_down(value + page_size - 1);
}

bool read_whole(const EntryRef& file, std::uint64_t offset, void* to, std::size_t size_bytes) {
    return file->inode().read_at(offset, {static_cast<std::byte*>(to), size_bytes}) == size_bytes;
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

bool is_sound(const Elf64_Phdr& segment) {
    return segment.p_filesz <= segment.p_memsz && segment.p_vaddr < user_end &&
           segment.p_memsz <= user_end - segment.p_vaddr &&
           segment.p_vaddr % page_size == segment.p_offset % page_size &&
           segment.p_offset + segment.p_filesz >= segment.p_offset;
}

class Loader {
public:
    Loader(AddressSpace& space, const EntryRef& file) : space_{space}, file_{file} {}

    Result<ElfImage> load(ImageRole role);

private:
    Result<void> read_headers();
    Result<void> choose_base(ImageRole role);
    Result<void> map_segment(const Elf64_Phdr& segment);
    Result<void> map_file_part(const Elf64_Phdr& segment);
    Result<void> map_zeros(const Elf64_Phdr& segment);
    Result<std::vector<char>> read_interpreter(const Elf64_Phdr& segment) const;

    AddressSpace& space_;
    const EntryRef& file_;
    Elf64_Ehdr header_{};
    std::vector<Elf64_Phdr> segments_;
    std::uint64_t base_ = 0;
    Placement placement_ = Placement::exclusive;
};

Result<void> Loader::read_headers() {
    if (!read_whole(file_, 0, &header_, sizeof header_) || !is_executable(header_)) {
        return fail(Errno::noexec);
    }
    segments_.resize(header_.e_phnum);
    if (!read_whole(file_, header_.e_phoff, segments_.data(),
                    segments_.size() * sizeof(Elf64_Phdr))) {
        return fail(Errno::noexec);
    }
    std::uint64_t lowest = 0;  // segments ascend (System V ABI)
    for (const Elf64_Phdr& segment : segments_) {
        if (segment.p_type != PT_LOAD) {
            continue;
        }
        if (!is_sound(segment) || segment.p_vaddr < lowest) {
            return fail(Errno::noexec);
        }
        lowest = segment.p_vaddr + segment.p_memsz;
    }
    return lowest == 0 ? fail(Errno::noexec) : Result<void>{};
}

Result<void> Loader::choose_base(ImageRole role) {
    if (header_.e_type == ET_EXEC) {
        return {};
    }
    std::uint64_t end = 0;
    std::uint64_t alignment = page_size;
    for (const Elf64_Phdr& segment : segments_) {
        if (segment.p_type == PT_LOAD) {
            end = segment.p_vaddr + segment.p_memsz;
            alignment = std::max(alignment, segment.p_align);
        }
    }
    if (role == ImageRole::program) {
        base_ = end > ready_size_max || alignment != page_size
                    ? 0
                    : space_.link_ready(file_, page_up(end),
                                        ready_start + random_number(6) * large_page_size);
        if (base_ != 0) {
            return {};
        }
        // Larger ones take all the room up to the heap.
        const bool moves = end <= random_range && alignment == page_size;
        base_ = NUB_RELOCATED_PROGRAM + (moves ? random_number(random_bits) * page_size : 0);
        return {};
    }
    // Room for all of it; the segments take their places in there.
    const auto room = space_.map({0, end, prot_none, Placement::anywhere, file_, 0});
    if (!room) {
        return fail(room.error());
    }
    base_ = *room;
    placement_ = Placement::replace;
    return {};
}

Result<void> Loader::map_file_part(const Elf64_Phdr& segment) {
    const std::uint64_t start = page_down(base_ + segment.p_vaddr);
    const std::uint64_t end = base_ + segment.p_vaddr + segment.p_filesz;
    const auto mapped = space_.map({start, end - start, protection_of(segment), placement_, file_,
                                    page_down(segment.p_offset)});
    if (!mapped) {
        return fail(mapped.error());
    }
    space_.prefetch(start, page_up(end) - start);
    return {};
}

// What follows the file's bytes, up to the segment's end.
Result<void> Loader::map_zeros(const Elf64_Phdr& segment) {
    const std::uint64_t file_end = base_ + segment.p_vaddr + segment.p_filesz;
    const std::uint64_t end = base_ + segment.p_vaddr + segment.p_memsz;
    const std::uint64_t start = segment.p_filesz > 0 ? page_up(file_end) : page_down(file_end);
    if (page_up(end) > start) {
        const auto mapped =
            space_.map({start, page_up(end) - start, protection_of(segment), placement_, {}, 0});
        if (!mapped) {
            return fail(mapped.error());
        }
    }
    // The file's last page goes on with zeros, not with what follows in the file: up to its end,
    // since ld.so takes its first memory from there.
    if (segment.p_filesz > 0 && (segment.p_flags & PF_W) != 0) {
        const std::uint64_t tail = start - file_end;
        if (!space_.resolve_all(file_end, tail, Access::write)) {
            return fail(Errno::noexec);
        }
        std::memset(reinterpret_cast<void*>(file_end), 0, tail);
    }
    return {};
}

Result<void> Loader::map_segment(const Elf64_Phdr& segment) {
    if (segment.p_filesz > 0) {
        if (const auto mapped = map_file_part(segment); !mapped) {
            return mapped;
        }
    }
    return segment.p_memsz > segment.p_filesz ? map_zeros(segment) : Result<void>{};
}

Result<std::vector<char>> Loader::read_interpreter(const Elf64_Phdr& segment) const {
    if (segment.p_filesz < 2 || segment.p_filesz > max_interpreter_size) {
        return fail(Errno::noexec);
    }
    std::vector<char> path(segment.p_filesz);
    if (!read_whole(file_, segment.p_offset, path.data(), path.size()) || path.back() != '\0') {
        return fail(Errno::noexec);
    }
    path.resize(std::strlen(path.data()));
    return path;
}

Result<ElfImage> Loader::load(ImageRole role) {
    if (const auto read = read_headers(); !read) {
        return fail(read.error());
    }
    if (const auto chosen = choose_base(role); !chosen) {
        return fail(chosen.error());
    }
    ElfImage image{base_, base_ + header_.e_entry, 0, header_.e_phnum, {}};
    for (const Elf64_Phdr& segment : segments_) {
        if (segment.p_type == PT_INTERP && image.interpreter.empty()) {
            auto path = read_interpreter(segment);
            if (!path) {
                return fail(path.error());
            }
            image.interpreter = std::move(*path);
        }
        if (segment.p_type != PT_LOAD || segment.p_memsz == 0) {
            continue;
        }
        if (header_.e_phoff >= segment.p_offset &&
            header_.e_phoff - segment.p_offset < segment.p_filesz) {
            image.program_headers = base_ + segment.p_vaddr + (header_.e_phoff - segment.p_offset);
        }
        if (const auto mapped = map_segment(segment); !mapped) {
            return fail(mapped.error());
        }
    }
    return image;
}

}  // namespace

Result<ElfImage> map_elf_image(AddressSpace& space, const EntryRef& file, ImageRole role) {
    return Loader{space, file}.load(role);
}

}  // namespace shoal::guest
