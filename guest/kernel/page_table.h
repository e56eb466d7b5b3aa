// The page tables as ring 3 sees them: read directly, changed through the nub.
#pragma once

#include <cstddef>
#include <cstdint>

#include "devices/abi/ready_tables.h"
#include "guest/kernel/physical_memory.h"
#include "guest/nub/nub.h"

namespace shoal::guest {

// Where the program's addresses end and the kernel's begin.
inline constexpr std::uint64_t user_end = NUB_USER_END;

inline void* kernel_address(std::uint64_t physical) {
    return reinterpret_cast<void*>(NUB_BASE + physical);
}
inline std::uint64_t physical_address(const void* kernel) {
    return reinterpret_cast<std::uint64_t>(kernel) - NUB_BASE;
}

// Makes RAM or device registers accessible to the kernel and returns their kernel address. The
// first GiB always is. nullptr when there are no more page tables.
void* map_kernel_ram(std::uint64_t physical, std::uint64_t size_bytes);

// The RAM that the nub keeps for page tables and does not use yet ends at `end` from now on; what
// lies behind can be written. False when it is in use.
[[nodiscard]] bool release_table_memory(std::uint64_t end);

// Lets the tables of this space, one of NUB_SPACES, be the ones that the CPU uses and that the
// functions below are about. The first one is selected at the start; for the others make_space()
// must have succeeded, which is false when there are no more page tables.
void select_space(unsigned number);
[[nodiscard]] unsigned selected_space();
[[nodiscard]] bool make_space(unsigned number);

enum class PageKind {
    absent,
    small,  // 4 KiB
    large,  // 2 MiB
};

// What the tables say of one address.
struct PageEntry {
    PageKind kind = PageKind::absent;
    std::uint64_t value = 0;            // the entry
    const std::uint64_t* at = nullptr;  // the leaf table's entry; nullptr without a leaf table

    [[nodiscard]] bool writable() const { return (value & NUB_PTE_WRITE) != 0; }
    [[nodiscard]] bool executable() const { return (value & NUB_PTE_NO_EXECUTE) == 0; }
    [[nodiscard]] bool user() const { return (value & NUB_PTE_USER) != 0; }
    [[nodiscard]] bool owned() const { return (value & owned_bit) != 0; }
    // What entry_flags() decides is the same.
    [[nodiscard]] bool has_rights(std::uint64_t flags) const {
        constexpr std::uint64_t mask =
            NUB_PTE_PRESENT | NUB_PTE_WRITE | NUB_PTE_USER | NUB_PTE_NO_EXECUTE;
        return ((value ^ flags) & mask) == 0;
    }
    // Of an owned page in a ready table (devices/abi/ready_tables.h).
    [[nodiscard]] std::uint64_t shift() const {
        return value >> abi::ready_tables::shift_bit & abi::ready_tables::shift_max;
    }
    [[nodiscard]] std::uint64_t physical() const { return value & 0x000F'FFFF'FFFF'F000; }

    // A bit that the CPU ignores: the page goes back to the allocator when it is unmapped.
    static constexpr std::uint64_t owned_bit = 1ULL << 9;
};

[[nodiscard]] PageEntry find_page(std::uint64_t address);

// Maps `count` small pages from `address`, all within the same 2 MiB, to successive physical pages.
// False when there are no more page tables.
[[nodiscard]] bool map_pages(std::uint64_t address, std::uint64_t entry, std::size_t count);
// Maps 2 MiB. False when a leaf table is in the way or there are no more page tables.
[[nodiscard]] bool map_large_page(std::uint64_t address, std::uint64_t entry);
// Turns a large page into 512 small ones with the same rights and owner. When there are no more
// page tables it stays as it is: false.
[[nodiscard]] bool split_large_page(std::uint64_t address);
// Lets a ready table (ready_tables.h) be that of the 2 MiB at `address`. False when there is one or
// there are no more page tables.
[[nodiscard]] bool link_ready_table(std::uint64_t address, std::uint64_t table);
// Nobody can write the pages of these entries of one leaf table any more, and no CPU knows anything
// else; the caller lets the others go (flush_pages).
void make_read_only(const std::uint64_t* at, std::size_t count);
void unmap_pages(std::uint64_t address, std::size_t count);
void unmap_large_page(std::uint64_t address);

// Forgets cached translations. Needed after an entry that was present changed or went away, before
// anything relies on that. With `changes`, nothing happens when there are none left to forget.
enum class Flush { changes, always };
void flush_pages(Flush which = Flush::changes);

}  // namespace shoal::guest
