// Which pages of a library its loader will map where, and with which rights.
#include "controlplane/cli/ready_tables.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "controlplane/cli/elf_file.h"
#include "devices/host/os_error.h"

namespace shoal::cli {
namespace {

constexpr std::uint64_t page_size = 4096;
constexpr std::uint64_t entries_per_table = 512;
constexpr std::uint64_t tables_max = 256;                       // NUB_READY_BYTES
constexpr std::uint64_t pages_max = (64ULL << 20) / page_size;  // what the unikernel has room for

constexpr std::uint64_t shift_max = 127;          // devices/abi/ready_tables.h
constexpr std::uint64_t copies_max = 8ULL << 20;  // more are left to the kernel, page by page

// What a loader maps of a file.
struct Segment {
    std::uint64_t page = 0;  // of the file's address space
    std::uint64_t file_page = 0;
    std::uint64_t count = 0;
    std::uint32_t flags = 0;
};

ElfHeaders headers_of(int fd) {
    try {
        return read_elf_headers(fd);
    } catch (const ElfError&) {
        return {};
    }
}

// Empty for a file whose loader would look for another place, or whose numbers make no sense.
std::vector<Segment> segments_of(int fd, std::uint64_t file_pages) {
    const ElfHeaders headers = headers_of(fd);
    std::vector<Segment> found;
    std::uint64_t next_page = 0;
    for (const Elf64_Phdr& segment : headers.segments) {
        if (segment.p_type != PT_LOAD) {
            continue;
        }
        const std::uint64_t page = segment.p_vaddr / page_size;
        const std::uint64_t file_page = segment.p_offset / page_size;
        if (headers.file.e_type != ET_DYN || segment.p_align > page_size ||
            segment.p_vaddr % page_size != segment.p_offset % page_size || page < next_page ||
            page >= pages_max || file_page >= file_pages ||
            segment.p_filesz > file_pages * page_size) {
            return {};
        }
        const std::uint64_t end =
            (segment.p_offset % page_size + segment.p_filesz + page_size - 1) / page_size;
        next_page = page + end;
        if (end != 0) {
            found.push_back({page, file_page, std::min(end, file_pages - file_page),
                             segment.p_flags & (PF_R | PF_W | PF_X)});
        }
    }
    const bool starts_at_zero = !found.empty() && found[0].page == 0 && found[0].file_page == 0 &&
                                (found[0].flags & PF_W) == 0;
    return starts_at_zero && next_page <= pages_max ? found : std::vector<Segment>{};
}

std::uint64_t random_entry() {
    std::uint16_t number = 0;
    host::check_os(::getrandom(&number, sizeof number, 0), "getrandom");
    return number % entries_per_table;
}

}  // namespace

// False when they are too many, or the file became shorter.
bool ReadyTables::copy(int fd, std::uint64_t file_page, std::uint64_t count) {
    const std::size_t before = copies_.size();
    const std::uint64_t size_bytes = count * page_size;
    if (size_bytes > copies_max - before) {
        return false;
    }
    copies_.resize(before + size_bytes);
    const ssize_t got =
        ::pread(fd, copies_.data() + before, size_bytes, static_cast<off_t>(file_page * page_size));
    if (got != static_cast<ssize_t>(size_bytes)) {
        copies_.resize(before);
        return false;
    }
    return true;
}

void ReadyTables::add(int fd, std::uint64_t offset, std::uint64_t pages) {
    const auto segments = segments_of(fd, pages);
    if (segments.empty()) {
        return;
    }
    const std::uint64_t lead = random_entry();
    const std::uint64_t end = lead + segments.back().page + segments.back().count;
    const std::uint64_t count = (end + entries_per_table - 1) / entries_per_table;
    if (count > tables_max - tables_) {
        return;
    }
    for (const Segment& segment : segments) {
        const bool is_first = &segment == &segments.front();
        const bool is_code = (segment.flags & PF_X) != 0;
        Run run{tables_ * entries_per_table + lead + segment.page,
                offset + segment.file_page * page_size, segment.count,
                is_first ? (is_code ? "fx" : "f") : (is_code ? "x" : "r")};
        if ((segment.flags & PF_W) != 0) {
            const std::uint64_t at = copies_.size();
            const std::uint64_t shift = segment.page - segment.file_page;
            if (is_code || shift > shift_max || !copy(fd, segment.file_page, segment.count)) {
                continue;
            }
            run.offset = at;
            run.rights = "w" + std::to_string(shift);
            run.is_copy = true;
        }
        runs_.push_back(run);
    }
    tables_ += count;
}

std::string ReadyTables::lines(std::uint64_t copies_offset) const {
    std::string text;
    for (const Run& run : runs_) {
        text += "rights " + std::to_string(run.page) + " " +
                std::to_string(run.offset + (run.is_copy ? copies_offset : 0)) + " " +
                std::to_string(run.count) + " " + run.rights + std::string{'\0'};
    }
    return text;
}

}  // namespace shoal::cli
