// PhysicalMemory: which pages of RAM are free. Hands them out by their kernel address.
//
// RAM that was never handed out is known to be zero and untouched; touching a page is what makes
// the host back it, so nothing here touches one before it must. Small pages that came back and fill
// 2 MiB become a large page again, and large pages can be lent to who gives them to the host
// (drivers/virtio_balloon.h). One vCPU: no locks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace shoal::guest {

inline constexpr std::uint64_t page_size = 4096;
inline constexpr std::uint64_t large_page_size = 2ULL << 20;

struct PhysicalRange {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    [[nodiscard]] std::uint64_t size() const { return end - start; }
};

// Somebody who holds memory that can be done without, and is asked for it when there is none left.
class MemoryHolder {
public:
    virtual ~MemoryHolder() = default;
    // Frees some pages; false when there are none. Called in the middle of an allocation.
    virtual bool give_back() = 0;

private:
    friend class PhysicalMemory;
    MemoryHolder* next_ = nullptr;
};

class PhysicalMemory {
public:
    // Gives the pages of `range` to the allocator. At boot only.
    void add(PhysicalRange range);
    // RAM up to `end` (a multiple of 2 MiB, from NUB_TABLES_START on, no part of any range) is left
    // to the nub's page tables. They keep what lies below `kept_end`; what lies above and is no
    // table yet is taken when all else is in use. At boot only.
    void leave_to_tables(std::uint64_t end, std::uint64_t kept_end);
    // Keeps `bytes` back for allocate_contiguous(), the kernel's own needs, so that a program that
    // took all memory can still be told so. At boot only, after the tables.
    void reserve_kernel(std::uint64_t bytes);
    // Allows small pages to become large ones again. At boot only, after all ranges.
    void count_blocks();
    // Lives for ever.
    void add_holder(MemoryHolder& holder);

    // All return nullptr when memory is gone. Pages are zeroed.
    [[nodiscard]] void* allocate_page();
    // Contiguous pages, aligned to a page. May return fewer than `wanted` in `count`, never none.
    [[nodiscard]] void* allocate_run(std::size_t wanted, std::size_t& count);
    // The last source, before what reserve_kernel() keeps back, is a large page that is free: at
    // most 2 MiB then.
    [[nodiscard]] void* allocate_contiguous(std::size_t pages);
    // Whether more than so much is free, if need be after asking the holders.
    [[nodiscard]] bool keep_free(std::uint64_t bytes);
    // 2 MiB, aligned. The kernel's mapping of it may not exist yet: see map_kernel_ram().
    [[nodiscard]] void* allocate_large_page();
    void free_page(void* page);
    void free_large_page(void* page);

    // A free large page that the host still backs, for somebody who changes that; nullptr when
    // there is none. Of what lies behind its first small page the content is given up.
    [[nodiscard]] void* lend_large_page();
    // The same, or one that the host does not back, for somebody who lets the host have all of it;
    // nullptr when no large page is free.
    [[nodiscard]] void* withdraw_large_page();
    // Brings it back: what lies behind its first small page is zero and costs the host nothing.
    void return_large_page(void* page);
    [[nodiscard]] bool has_backed_large_page() const {
        return large_pages_ != nullptr || whole_blocks_ != 0;
    }

    [[nodiscard]] std::uint64_t total_bytes() const { return total_; }
    [[nodiscard]] std::uint64_t free_bytes() const;

private:
    struct FreePage {
        FreePage* next;
        FreePage* before;  // of small pages
    };

    std::uint64_t take_fresh(std::uint64_t bytes);
    void* take_opened(std::size_t wanted, std::size_t& count);
    void* take_fresh_large_page();
    bool open_large_page();
    [[nodiscard]] std::uint16_t* block_of(const FreePage* page) const;
    void unlink(FreePage* page);
    void merge_blocks();
    bool ask_holders();
    bool take_from_tables();
    bool take_free_large_page();
    [[nodiscard]] PhysicalRange* find_empty_range();
    [[nodiscard]] std::uint64_t tables_used_end() const;
    static std::uint64_t take(PhysicalRange& range, std::uint64_t bytes);

    std::array<PhysicalRange, 16> fresh_{};  // never handed out, in address order
    std::size_t fresh_count_ = 0;
    FreePage* pages_ = nullptr;
    FreePage* large_pages_ = nullptr;
    FreePage* empty_large_pages_ = nullptr;  // zero behind their first small page
    // The rest of a large page that is handed out as small ones; not zero up to dirty_end_.
    PhysicalRange opened_{};
    std::uint64_t dirty_end_ = 0;
    // How many of the 512 pages of each 2 MiB of physical addresses are in pages_; nullptr: nobody
    // counts. And how many of these are full.
    std::uint16_t* blocks_ = nullptr;
    std::size_t block_count_ = 0;
    std::size_t whole_blocks_ = 0;
    MemoryHolder* holders_ = nullptr;
    bool is_asking_ = false;
    PhysicalRange tables_{};  // from where they are kept to where their RAM ends
    PhysicalRange kernel_{};
    std::uint64_t total_ = 0;
    std::uint64_t free_ = 0;
};

extern PhysicalMemory physical_memory;

}  // namespace shoal::guest
