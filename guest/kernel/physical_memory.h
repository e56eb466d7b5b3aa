// PhysicalMemory: which pages of RAM are free. Hands them out by their kernel address.
//
// RAM that was never handed out is known to be zero and untouched; touching a page is what makes
// the host back it, so nothing here touches one before it must. One vCPU: no locks.
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

    // All return nullptr when memory is gone. Pages are zeroed.
    [[nodiscard]] void* allocate_page();
    // Contiguous pages, aligned to a page. May return fewer than `wanted` in `count`, never none.
    [[nodiscard]] void* allocate_run(std::size_t wanted, std::size_t& count);
    [[nodiscard]] void* allocate_contiguous(std::size_t pages);
    // 2 MiB, aligned. The kernel's mapping of it may not exist yet: see map_kernel_ram().
    [[nodiscard]] void* allocate_large_page();
    void free_page(void* page);
    void free_large_page(void* page);

    [[nodiscard]] std::uint64_t total_bytes() const { return total_; }
    [[nodiscard]] std::uint64_t free_bytes() const;

private:
    struct FreePage {
        FreePage* next;
    };

    std::uint64_t take_fresh(std::uint64_t bytes);
    bool take_from_tables();
    [[nodiscard]] std::uint64_t tables_used_end() const;
    static std::uint64_t take(PhysicalRange& range, std::uint64_t bytes);

    std::array<PhysicalRange, 16> fresh_{};  // never handed out, in address order
    std::size_t fresh_count_ = 0;
    FreePage* pages_ = nullptr;
    FreePage* large_pages_ = nullptr;
    PhysicalRange tables_{};  // from where they are kept to where their RAM ends
    PhysicalRange kernel_{};
    std::uint64_t total_ = 0;
    std::uint64_t free_ = 0;
};

extern PhysicalMemory physical_memory;

}  // namespace shoal::guest
