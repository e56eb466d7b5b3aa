// Which pages of a library its loader will map where, and with which rights.
#include "controlplane/cli/ready_tables.h"

#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "controlplane/cli/elf_file.h"
#include "devices/host/random.h"

namespace shoal::cli {
namespace {

constexpr std::uint64_t page_size = 4096;
constexpr std::uint64_t entries_per_table = 512;
constexpr std::uint64_t tables_max = 256;                       // NUB_READY_BYTES
constexpr std::uint64_t pages_max = (64ULL << 20) / page_size;  // what the unikernel has room for

constexpr std::uint64_t shift_max = 127;          // devices/abi/ready_tables.h
constexpr std::uint64_t copies_max = 8ULL << 20;  // more are left to the kernel, page by page

constexpr CpioMetadata copy_metadata{S_IFREG | 0400, 0, 0, 1, 0};

constexpr std::uint64_t page_up(std::uint64_t bytes) {
    return (bytes + page_size - 1) / page_size * page_size;
}

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
std::vector<Segment> segments_of(int fd, std::uint64_t size_bytes) {
    const std::uint64_t whole_pages = size_bytes / page_size;
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
            page >= pages_max || file_page >= whole_pages || segment.p_filesz > size_bytes) {
            return {};
        }
        const std::uint64_t end =
            page_up(segment.p_offset % page_size + segment.p_filesz) / page_size;
        next_page = page + end;
        // The page that the file ends in lies elsewhere in the archive, but can be copied.
        const std::uint64_t pages =
            (segment.p_flags & PF_W) != 0 ? page_up(size_bytes) / page_size : whole_pages;
        if (end != 0) {
            found.push_back({page, file_page, std::min(end, pages - file_page),
                             segment.p_flags & (PF_R | PF_W | PF_X)});
        }
    }
    const bool starts_at_zero = !found.empty() && found[0].page == 0 && found[0].file_page == 0 &&
                                (found[0].flags & PF_W) == 0;
    return starts_at_zero && next_page <= pages_max ? found : std::vector<Segment>{};
}

std::uint64_t random_entry() {
    return host::random_value<std::uint16_t>() % entries_per_table;
}

}  // namespace

void ReadyTables::add(int fd, const std::string& path, std::uint64_t offset,
                      std::uint64_t size_bytes) {
    const auto segments = segments_of(fd, size_bytes);
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
        const bool is_code = (segment.flags & PF_X) != 0;
        std::uint64_t at = offset + segment.file_page * page_size;
        std::string rights = &segment == &segments.front() ? "f" : "";
        rights += is_code ? "x" : rights.empty() ? "r" : "";
        if ((segment.flags & PF_W) != 0) {
            const std::uint64_t shift = segment.page - segment.file_page;
            const std::uint64_t copied = segment.count * page_size;
            if (is_code || shift > shift_max || copied > copies_max - copied_bytes_) {
                continue;
            }
            const std::uint64_t from = segment.file_page * page_size;
            at = archive_.add_hole(".shoal/copy" + std::to_string(tables_), copy_metadata, copied);
            lines_ += "copy " + std::to_string(at) + " " +
                      std::to_string(std::min(copied, size_bytes - from)) + " " +
                      std::to_string(from) + " " + path + std::string{'\0'};
            copied_bytes_ += copied;
            rights = "w" + std::to_string(shift);
        }
        lines_ += "rights " + std::to_string(tables_ * entries_per_table + lead + segment.page) +
                  " " + std::to_string(at) + " " + std::to_string(segment.count) + " " + rights +
                  std::string{'\0'};
    }
    tables_ += count;
}

}  // namespace shoal::cli
