// Handing out: from a few untouched ranges, and from lists of pages that came back.
#include "guest/kernel/physical_memory.h"

#include <algorithm>
#include <cstring>

#include "guest/kernel/page_table.h"

namespace shoal::guest {
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
    PhysicalRange* const place = neighbour != fresh_.end() ? &*neighbour : find_empty_range();
    if (place == nullptr || !release_table_memory(start)) {
        return false;
    }
    *place = {start, neighbour != fresh_.end() ? place->end : tables_.end};
    tables_.end = start;
    free_ += large_page_size;
    return true;
}

PhysicalRange* PhysicalMemory::find_empty_range() {
    for (std::size_t i = 0; i < fresh_.size(); ++i) {
        if (fresh_[i].size() == 0) {
            fresh_count_ = std::max(fresh_count_, i + 1);
            return &fresh_[i];
        }
    }
    return nullptr;
}

// A large page that came back becomes a fresh range.
bool PhysicalMemory::take_free_large_page() {
    PhysicalRange* const place = find_empty_range();
    if (place == nullptr) {
        return false;
    }
    void* page = lend_large_page();
    const std::uint64_t dirty = page != nullptr ? large_page_size : page_size;
    page = page != nullptr ? page : withdraw_large_page();
    if (page == nullptr) {
        return false;
    }
    const std::uint64_t start = physical_address(page);
    std::memset(map_kernel_ram(start, large_page_size), 0, dirty);
    *place = {start, start + large_page_size};
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
    if (FreePage* page = pages_; page != nullptr) {
        unlink(page);
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
    while (true) {
        if (void* pages = take_opened(wanted, count)) {
            return pages;
        }
        count = 1;
        if (pages_ != nullptr) {
            return allocate_page();
        }
        if (!open_large_page()) {
            if (take_from_tables()) {
                return allocate_run(wanted, count);
            }
            if (!ask_holders()) {
                return nullptr;
            }
        }
    }
}

// Pages of the large page that is open.
void* PhysicalMemory::take_opened(std::size_t wanted, std::size_t& count) {
    count = std::min(wanted, opened_.size() / page_size);
    if (count == 0) {
        return nullptr;
    }
    const std::uint64_t start = opened_.start;
    opened_.start += count * page_size;
    free_ -= count * page_size;
    void* pages = map_kernel_ram(start, count * page_size);
    if (start < dirty_end_) {
        std::memset(pages, 0, std::min(opened_.start, dirty_end_) - start);
    }
    return pages;
}

bool PhysicalMemory::open_large_page() {
    FreePage*& list = large_pages_ != nullptr ? large_pages_ : empty_large_pages_;
    FreePage* page = list;
    if (page == nullptr) {
        return false;
    }
    const bool is_empty = &list == &empty_large_pages_;
    list = page->next;
    const std::uint64_t start = physical_address(page);
    opened_ = {start, start + large_page_size};
    dirty_end_ = is_empty ? start + page_size : opened_.end;
    return true;
}

void* PhysicalMemory::allocate_contiguous(std::size_t pages) {
    std::uint64_t at = take_fresh(pages * page_size);
    while (at == 0 && pages * page_size <= tables_.size() && take_from_tables()) {
        at = take_fresh(pages * page_size);
    }
    if (at == 0 && pages * page_size <= large_page_size && take_free_large_page()) {
        at = take_fresh(pages * page_size);
    }
    if (at == 0) {
        at = take(kernel_, pages * page_size);
    }
    return at == 0 ? nullptr : map_kernel_ram(at, pages * page_size);
}

void* PhysicalMemory::allocate_large_page() {
    if (large_pages_ == nullptr && empty_large_pages_ == nullptr) {
        merge_blocks();
    }
    FreePage*& list = large_pages_ != nullptr ? large_pages_ : empty_large_pages_;
    if (FreePage* page = list; page != nullptr) {
        const bool is_empty = &list == &empty_large_pages_;
        list = page->next;
        free_ -= large_page_size;
        std::memset(map_kernel_ram(physical_address(page), large_page_size), 0,
                    is_empty ? page_size : large_page_size);
        return page;
    }
    if (void* page = take_fresh_large_page()) {
        return page;
    }
    return take_from_tables() ? allocate_large_page() : nullptr;
}

void* PhysicalMemory::take_fresh_large_page() {
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

}  // namespace shoal::guest
