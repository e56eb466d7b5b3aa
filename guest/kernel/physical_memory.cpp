// Free pages: a few untouched ranges, and lists of pages that came back.
#include "guest/kernel/physical_memory.h"

#include <cstring>

#include "guest/kernel/page_table.h"
#include "guest/kernel/pages.h"

namespace shoal::guest {

constinit PhysicalMemory physical_memory;

void PhysicalMemory::add(PhysicalRange range) {
    range.start = (range.start + page_size - 1) & ~(page_size - 1);
    range.end &= ~(page_size - 1);
    if (range.start >= range.end || fresh_count_ == fresh_.size()) {
        return;
    }
    fresh_[fresh_count_++] = range;
    total_ += range.size();
    free_ += range.size();
}

void PhysicalMemory::reserve_tables(std::uint64_t bytes) {
    for (std::size_t i = fresh_count_; bytes > 0 && i-- > 0;) {
        PhysicalRange& range = fresh_[i];
        const std::uint64_t end = range.end & ~(large_page_size - 1);
        if (end >= range.start && end - range.start >= bytes) {
            tables_ = {end - bytes, end};
            free_ -= range.end - tables_.start;
            range.end = tables_.start;
            return;
        }
    }
}

void PhysicalMemory::reserve_kernel(std::uint64_t bytes) {
    if (const std::uint64_t start = take_fresh(bytes); start != 0) {
        kernel_ = {start, start + bytes};
    }
}

std::uint64_t PhysicalMemory::take(PhysicalRange& range, std::uint64_t bytes) {
    const std::uint64_t start = range.start;
    if (range.size() < bytes) {
        return 0;
    }
    range.start += bytes;
    return start;
}

std::uint64_t PhysicalMemory::take_fresh(std::uint64_t bytes) {
    for (std::size_t i = 0; i < fresh_count_; ++i) {
        if (const std::uint64_t start = take(fresh_[i], bytes); start != 0) {
            free_ -= bytes;
            return start;
        }
    }
    return 0;
}

void* PhysicalMemory::allocate_page() {
    if (pages_ != nullptr) {
        FreePage* page = pages_;
        pages_ = page->next;
        free_ -= page_size;
        std::memset(static_cast<void*>(page), 0, page_size);
        return page;
    }
    std::size_t count = 0;
    return allocate_run(1, count);
}

void* PhysicalMemory::allocate_run(std::size_t wanted, std::size_t& count) {
    for (count = wanted; count > 0; count /= 2) {
        if (const std::uint64_t at = take_fresh(count * page_size); at != 0) {
            return map_kernel_ram(at, count * page_size);
        }
    }
    if (pages_ == nullptr && large_pages_ != nullptr) {
        auto* page = reinterpret_cast<std::byte*>(large_pages_);
        large_pages_ = large_pages_->next;
        for (std::uint64_t offset = 0; offset < large_page_size; offset += page_size) {
            auto* piece = reinterpret_cast<FreePage*>(page + offset);
            piece->next = pages_;
            pages_ = piece;
        }
    }
    if (pages_ == nullptr) {
        return nullptr;
    }
    count = 1;
    return allocate_page();
}

void* PhysicalMemory::allocate_contiguous(std::size_t pages) {
    std::uint64_t at = take_fresh(pages * page_size);
    if (at == 0) {
        at = take(kernel_, pages * page_size);
    }
    return at == 0 ? nullptr : map_kernel_ram(at, pages * page_size);
}

void* PhysicalMemory::allocate_large_page() {
    if (large_pages_ != nullptr) {
        FreePage* page = large_pages_;
        large_pages_ = page->next;
        free_ -= large_page_size;
        std::memset(map_kernel_ram(physical_address(page), large_page_size), 0, large_page_size);
        return page;
    }
    for (std::size_t i = 0; i < fresh_count_; ++i) {
        PhysicalRange& range = fresh_[i];
        // From the top, so that the bottom stays whole for small pages.
        const std::uint64_t start = range.end < large_page_size
                                        ? 0
                                        : (range.end - large_page_size) & ~(large_page_size - 1);
        if (start < range.start || start + large_page_size != range.end) {
            if (start < range.start || fresh_count_ == fresh_.size()) {
                continue;
            }
            // What lies above the last whole 2 MiB becomes a range of its own.
            fresh_[fresh_count_++] = {start + large_page_size, range.end};
        }
        range.end = start;
        free_ -= large_page_size;
        return kernel_address(start);
    }
    return nullptr;
}

std::uint64_t PhysicalMemory::take_table_chunk() {
    if (tables_.size() == 0) {
        return 0;
    }
    tables_.end -= large_page_size;
    return tables_.end;
}

void PhysicalMemory::free_page(void* page) {
    auto* entry = static_cast<FreePage*>(page);
    entry->next = pages_;
    pages_ = entry;
    free_ += page_size;
}

void PhysicalMemory::free_large_page(void* page) {
    auto* entry = static_cast<FreePage*>(map_kernel_ram(physical_address(page), page_size));
    entry->next = large_pages_;
    large_pages_ = entry;
    free_ += large_page_size;
}

void* allocate_page() {
    return physical_memory.allocate_page();
}

void free_page(void* page) {
    physical_memory.free_page(page);
}

}  // namespace shoal::guest
