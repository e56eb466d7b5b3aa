// Free pages: a few untouched ranges, and lists of pages that came back.
#include "guest/kernel/physical_memory.h"

#include <algorithm>
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

void PhysicalMemory::leave_to_tables(std::uint64_t end, std::uint64_t kept_end) {
    tables_ = {kept_end, end};
    total_ += end - NUB_TABLES_START;
}

// Where the part of the tables' RAM ends that is not to be taken.
std::uint64_t PhysicalMemory::tables_used_end() const {
    const std::uint64_t used = (shoal_tables_next + large_page_size - 1) & ~(large_page_size - 1);
    return std::max(used, tables_.start);
}

std::uint64_t PhysicalMemory::free_bytes() const {
    const std::uint64_t used = tables_used_end();
    return free_ + (tables_.end > used ? tables_.end - used : 0);
}

// 2 MiB of what the tables do not need become a fresh range, or a part of one.
bool PhysicalMemory::take_from_tables() {
    if (tables_.end < tables_used_end() + large_page_size) {
        return false;
    }
    const std::uint64_t start = tables_.end - large_page_size;
    const auto neighbour = std::ranges::find_if(fresh_, [this](const PhysicalRange& range) {
        return range.size() != 0 && range.start == tables_.end;
    });
    const auto place = neighbour != fresh_.end()
                           ? neighbour
                           : std::ranges::find(fresh_, std::uint64_t{0}, &PhysicalRange::size);
    if (place == fresh_.end() || !release_table_memory(start)) {
        return false;
    }
    fresh_count_ = std::max(fresh_count_, static_cast<std::size_t>(place - fresh_.begin()) + 1);
    *place = {start, place == neighbour ? place->end : tables_.end};
    tables_.end = start;
    free_ += large_page_size;
    return true;
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
        return take_from_tables() ? allocate_run(wanted, count) : nullptr;
    }
    count = 1;
    return allocate_page();
}

void* PhysicalMemory::allocate_contiguous(std::size_t pages) {
    std::uint64_t at = take_fresh(pages * page_size);
    while (at == 0 && pages * page_size <= tables_.size() && take_from_tables()) {
        at = take_fresh(pages * page_size);
    }
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
    return take_from_tables() ? allocate_large_page() : nullptr;
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
