// posix_fadvise by ranges.
#include "vmm/machine/file_ahead.h"

#include <fcntl.h>

#include <algorithm>

#include "devices/abi/address_map.h"

namespace shoal::vmm {
namespace {

constexpr std::size_t stack_bytes = 64 << 10;
// To read so much more takes less than another request of a disk.
constexpr std::uint64_t max_gap_pages = 16;
// Between two looks at whether it shall stop.
constexpr std::uint64_t max_call_pages = 512;

}  // namespace

FileAhead::FileAhead(int fd, std::span<const std::uint32_t> pages)
    : thread_{"read-ahead", stack_bytes,
              [this, fd, ranges = ranges_to_read(pages)] { read(fd, ranges); }} {}

// A hint: what comes of it is not asked.
void FileAhead::read(int fd, std::span<const PageRange> ranges) noexcept {
    for (const PageRange& range : ranges) {
        for (std::uint64_t page = range.first; page < range.end && !is_stopped_;) {
            const std::uint64_t count = std::min(max_call_pages, range.end - page);
            ::posix_fadvise(fd, static_cast<off_t>(page * abi::page_size),
                            static_cast<off_t>(count * abi::page_size), POSIX_FADV_WILLNEED);
            page += count;
            page_count_ += count;
        }
    }
}

std::vector<PageRange> ranges_to_read(std::span<const std::uint32_t> pages) {
    std::vector<std::uint32_t> sorted{pages.begin(), pages.end()};
    std::ranges::sort(sorted);
    std::vector<PageRange> ranges;
    for (const std::uint64_t page : sorted) {
        if (ranges.empty() || page > ranges.back().end + max_gap_pages) {
            ranges.push_back({page, page});
        }
        ranges.back().end = page + 1;
    }
    return ranges;
}

}  // namespace shoal::vmm
