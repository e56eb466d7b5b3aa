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
    // Keeps `bytes` (a multiple of 2 MiB) of the last range for page tables. At boot only.
    void reserve_tables(std::uint64_t bytes);
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
    // 2 MiB for page tables, each directly below the one taken before; 0 when they are in use.
    [[nodiscard]] std::uint64_t take_table_chunk();

    void free_page(void* page);
    void free_large_page(void* page);

    [[nodiscard]] std::uint64_t total_bytes() const { return total_; }
    [[nodiscard]] std::uint64_t free_bytes() const { return free_; }

private:
    struct FreePage {
        FreePage* next;
    };

    std::uint64_t take_fresh(std::uint64_t bytes);
    static std::uint64_t take(PhysicalRange& range, std::uint64_t bytes);

    std::array<PhysicalRange, 16> fresh_{};  // never handed out, in address order
    std::size_t fresh_count_ = 0;
    FreePage* pages_ = nullptr;
    FreePage* large_pages_ = nullptr;
    PhysicalRange tables_{};
    PhysicalRange kernel_{};
    std::uint64_t total_ = 0;
    std::uint64_t free_ = 0;
};

extern PhysicalMemory physical_memory;

}  // namespace shoal::guest
