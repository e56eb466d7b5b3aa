// Finding the pages that are worth writing.
#include "vmm/state/memory_image.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "devices/abi/address_map.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::state {
namespace {

constexpr std::array<std::byte, abi::page_size> zeros{};

bool is_zero(const std::byte* page) {
    return std::memcmp(page, zeros.data(), zeros.size()) == 0;
}

// Neighbours that are not zero go in one call.
void write_pages(std::span<const std::byte> memory, std::uint64_t from, std::uint64_t end,
                 NewFile& file) {
    while (from < end) {
        while (from < end && is_zero(memory.data() + from)) {
            from += abi::page_size;
        }
        std::uint64_t to = from;
        while (to < end && !is_zero(memory.data() + to)) {
            to += abi::page_size;
        }
        file.write(memory.subspan(from, to - from), from);
        from = to;
    }
}

// Where the memfd or the file has something from `at` on, or the end.
std::uint64_t seek(const machine::GuestMemory& memory, std::uint64_t at, int what) {
    const off_t found = ::lseek(memory.content_fd(), static_cast<off_t>(at), what);
    return found < 0 ? memory.size_bytes()
                     : std::min(memory.size_bytes(), static_cast<std::uint64_t>(found));
}

// Which pages this process has of a memory that is a copy
// (Documentation/admin-guide/mm/pagemap.rst).
class PageMap {
public:
    explicit PageMap(std::span<const std::byte> memory)
        : first_{reinterpret_cast<std::uintptr_t>(memory.data()) / abi::page_size},
          file_{::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)} {
        if (!file_) {
            host::throw_os_error("cannot open /proc/self/pagemap");
        }
    }

    // The first page from `at` on, and before `end`, that is or is not there; else `end`.
    std::uint64_t find(std::uint64_t at, std::uint64_t end, bool is_there) {
        for (; at < end; at += abi::page_size) {
            if (has(at) == is_there) {
                return at;
            }
        }
        return end;
    }

private:
    static constexpr std::uint64_t present_or_swapped = 3ULL << 62;

    bool has(std::uint64_t at) {
        const std::uint64_t page = at / abi::page_size;
        if (page - start_ >= entries_.size()) {
            start_ = page;
            const off_t offset = static_cast<off_t>((first_ + page) * sizeof(std::uint64_t));
            const ssize_t size = ::pread(file_.get(), entries_.data(), sizeof entries_, offset);
            if (size < static_cast<ssize_t>(sizeof(std::uint64_t))) {
                host::throw_os_error("cannot read /proc/self/pagemap");
            }
        }
        return (entries_[page - start_] & present_or_swapped) != 0;
    }

    std::uint64_t first_;  // of the memory, in the process
    host::UniqueFd file_;
    std::array<std::uint64_t, 4096> entries_{};
    std::uint64_t start_ = UINT64_MAX / 2;  // the page of the first entry
};

// In the holes of the file the copy may have pages all the same.
void write_copied_pages(const machine::GuestMemory& memory, std::uint64_t at, std::uint64_t end,
                        PageMap& pages, NewFile& file) {
    while (at < end) {
        const std::uint64_t from = pages.find(at, end, true);
        const std::uint64_t to = pages.find(from, end, false);
        write_pages(memory.bytes(), from, to, file);
        at = to;
    }
}

}  // namespace

void write_memory(const machine::GuestMemory& memory, NewFile& file) {
    std::optional<PageMap> pages;
    if (memory.fd() < 0) {
        pages.emplace(memory.bytes());
    }
    std::uint64_t at = 0;
    while (at < memory.size_bytes()) {
        const std::uint64_t from = seek(memory, at, SEEK_DATA);
        if (pages) {
            write_copied_pages(memory, at, from, *pages, file);
        }
        const std::uint64_t end = from < memory.size_bytes() ? seek(memory, from, SEEK_HOLE) : from;
        write_pages(memory.bytes(), from, end, file);
        at = end;
    }
}

}  // namespace shoal::state
