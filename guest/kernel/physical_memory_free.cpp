// Coming back: lists of free pages, small ones that become large again, and who is asked for more.
#include <algorithm>

#include "guest/kernel/page_table.h"
#include "guest/kernel/physical_memory.h"

namespace shoal::guest {
namespace {

constexpr std::uint16_t pages_per_block = large_page_size / page_size;

}  // namespace

void PhysicalMemory::free_page(void* page) {
    auto* entry = static_cast<FreePage*>(page);
    entry->next = pages_;
    entry->before = nullptr;
    if (pages_ != nullptr) {
        pages_->before = entry;
    }
    pages_ = entry;
    free_ += page_size;
    if (std::uint16_t* block = block_of(entry); block != nullptr && ++*block == pages_per_block) {
        ++whole_blocks_;
    }
}

void PhysicalMemory::unlink(FreePage* page) {
    (page->before != nullptr ? page->before->next : pages_) = page->next;
    if (page->next != nullptr) {
        page->next->before = page->before;
    }
    if (std::uint16_t* block = block_of(page); block != nullptr && (*block)-- == pages_per_block) {
        --whole_blocks_;
    }
}

std::uint16_t* PhysicalMemory::block_of(const FreePage* page) const {
    const std::uint64_t idx = physical_address(page) / large_page_size;
    return idx < block_count_ ? &blocks_[idx] : nullptr;
}

void PhysicalMemory::count_blocks() {
    std::uint64_t end = tables_.end;
    for (const PhysicalRange& range : fresh_) {
        end = std::max(end, range.end);
    }
    const std::uint64_t count = (end + large_page_size - 1) / large_page_size;
    const std::uint64_t bytes = count * sizeof *blocks_;
    blocks_ = static_cast<std::uint16_t*>(allocate_contiguous((bytes + page_size - 1) / page_size));
    block_count_ = blocks_ == nullptr ? 0 : count;
}

// Not at every free: a page that goes to and fro would take its block apart each time.
void PhysicalMemory::merge_blocks() {
    for (std::size_t idx = 0; idx < block_count_ && whole_blocks_ != 0; ++idx) {
        if (blocks_[idx] != pages_per_block) {
            continue;
        }
        auto* block = static_cast<std::byte*>(kernel_address(idx * large_page_size));
        for (std::uint64_t offset = 0; offset < large_page_size; offset += page_size) {
            unlink(reinterpret_cast<FreePage*>(block + offset));
        }
        free_ -= large_page_size;
        free_large_page(block);
    }
}

void PhysicalMemory::free_large_page(void* page) {
    auto* entry = static_cast<FreePage*>(map_kernel_ram(physical_address(page), page_size));
    entry->next = large_pages_;
    large_pages_ = entry;
    free_ += large_page_size;
}

void* PhysicalMemory::lend_large_page() {
    merge_blocks();
    FreePage* page = large_pages_;
    if (page != nullptr) {
        large_pages_ = page->next;
        free_ -= large_page_size;
    }
    return page;
}

void* PhysicalMemory::withdraw_large_page() {
    if (void* page = lend_large_page()) {
        return page;
    }
    if (FreePage* page = empty_large_pages_) {
        empty_large_pages_ = page->next;
        free_ -= large_page_size;
        return page;
    }
    return take_fresh_large_page();
}

void PhysicalMemory::return_large_page(void* page) {
    auto* entry = static_cast<FreePage*>(page);
    entry->next = empty_large_pages_;
    empty_large_pages_ = entry;
    free_ += large_page_size;
}

void PhysicalMemory::add_holder(MemoryHolder& holder) {
    holder.next_ = holders_;
    holders_ = &holder;
}

bool PhysicalMemory::keep_free(std::uint64_t bytes) {
    while (free_bytes() <= bytes) {
        if (!ask_holders()) {
            return false;
        }
    }
    return true;
}

bool PhysicalMemory::ask_holders() {
    if (is_asking_) {
        return false;
    }
    is_asking_ = true;
    bool has_given = false;
    for (MemoryHolder* holder = holders_; holder != nullptr && !has_given; holder = holder->next_) {
        has_given = holder->give_back();
    }
    is_asking_ = false;
    return has_given;
}

}  // namespace shoal::guest
