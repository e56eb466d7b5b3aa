// Reading the page tables, and changing them through the nub.
#include "guest/kernel/page_table.h"

#include <algorithm>

#include "guest/kernel/panic.h"
#include "guest/kernel/sched/cpus.h"

namespace shoal::guest {
namespace {

constexpr std::uint64_t address_mask = 0x000F'FFFF'FFFF'F000;
constexpr std::uint64_t kernel_ram = NUB_PTE_PRESENT | NUB_PTE_WRITE | NUB_PTE_USER |
                                     NUB_PTE_LARGE | NUB_PTE_TOUCHED | NUB_PTE_NO_EXECUTE;
constexpr std::uint64_t always_mapped = 1ULL << 30;

const std::uint64_t* table_of(std::uint64_t entry) {
    return static_cast<const std::uint64_t*>(kernel_address(entry & address_mask));
}

// Whether an entry that other CPUs may know changes. Of absent ones nobody knows.
bool is_any_present(const std::uint64_t* at, std::size_t count) {
    return std::any_of(at, at + count,
                       [](std::uint64_t entry) { return (entry & NUB_PTE_PRESENT) != 0; });
}

void set_leaves(const std::uint64_t* at, std::uint64_t entry, std::size_t count) {
    const bool is_change = is_any_present(at, count);
    if (is_change) {
        stop_others();
    }
    // Few ranges get other rights in one go, but many can be unmapped: then one flush will do.
    const bool is_flushed = is_change && (entry & NUB_PTE_PRESENT) != 0;
    this_cpu().has_stale_pages |= is_change && !is_flushed;
    const std::uint64_t call = is_flushed ? NUB_CHANGE_LEAVES : NUB_SET_LEAVES;
    const auto address = reinterpret_cast<std::uint64_t>(at);
    if (shoal_nub_call(call, address, entry, count - 1) != NUB_OK) {
        panic("the nub refuses a page-table entry", entry);
    }
}

}  // namespace

bool release_table_memory(std::uint64_t end) {
    stop_others(Stop::all);  // the kernel writes there from now on
    const bool done = shoal_nub_call(NUB_RELEASE_TABLES, end) == NUB_OK;
    let_others_go();
    return done;
}

void select_space(unsigned number) {
    Cpu& cpu = this_cpu();
    if (number == cpu.space) {
        return;
    }
    // The others that use the space that is left.
    let_others_go();
    if (shoal_nub_call(NUB_SELECT_SPACE, number) != NUB_OK) {
        panic("the nub refuses an address space", number);
    }
    cpu.space = number;
}

unsigned selected_space() {
    return this_cpu().space;
}

bool make_space(unsigned number) {
    if (shoal_spaces[0][number] == 0) {
        if (shoal_nub_call(NUB_SELECT_SPACE, number) != NUB_OK) {
            return false;
        }
        shoal_nub_call(NUB_SELECT_SPACE, selected_space());
    }
    return true;
}

PageEntry find_page(std::uint64_t address) {
    const std::uint64_t* table = table_of(shoal_spaces[0][selected_space()]);
    for (const unsigned shift : {39U, 30U, 21U}) {
        const std::uint64_t entry = table[(address >> shift) & 511];
        if ((entry & NUB_PTE_PRESENT) == 0) {
            return {};
        }
        if ((entry & NUB_PTE_LARGE) != 0) {
            return {PageKind::large, entry, nullptr};
        }
        table = table_of(entry);
    }
    const std::uint64_t* at = &table[(address >> 12) & 511];
    return {(*at & NUB_PTE_PRESENT) != 0 ? PageKind::small : PageKind::absent, *at, at};
}

void* map_kernel_ram(std::uint64_t physical, std::uint64_t size_bytes) {
    for (std::uint64_t at = physical & ~(large_page_size - 1); at < physical + size_bytes;
         at += large_page_size) {
        const std::uint64_t address = NUB_BASE + at;
        if (at >= always_mapped && find_page(address).kind == PageKind::absent &&
            shoal_nub_call(NUB_LINK, address, at | kernel_ram) != NUB_OK) {
            return nullptr;
        }
    }
    return kernel_address(physical);
}

bool map_pages(std::uint64_t address, std::uint64_t entry, std::size_t count) {
    PageEntry first = find_page(address);
    if (first.at == nullptr) {
        if (shoal_nub_call(NUB_LINK, address & ~(large_page_size - 1), 0) != NUB_OK) {
            return false;
        }
        first = find_page(address);
    }
    set_leaves(first.at, entry, count);
    return true;
}

bool map_large_page(std::uint64_t address, std::uint64_t entry) {
    if (find_page(address).kind == PageKind::large) {
        stop_others();
        this_cpu().has_stale_pages = true;
    }
    return shoal_nub_call(NUB_LINK, address, entry | NUB_PTE_LARGE) == NUB_OK;
}

bool link_ready_table(std::uint64_t address, std::uint64_t table) {
    return shoal_nub_call(NUB_LINK, address, table) == NUB_OK;
}

bool split_large_page(std::uint64_t address) {
    address &= ~(large_page_size - 1);
    const std::uint64_t large = find_page(address).value;
    unmap_large_page(address);
    const bool done =
        map_pages(address, large & ~std::uint64_t{NUB_PTE_LARGE}, large_page_size / page_size);
    if (!done && !map_large_page(address, large)) {
        panic("the nub refuses a page that it had", address);
    }
    flush_pages();
    return done;
}

void make_read_only(const std::uint64_t* at, std::size_t count) {
    stop_others();
    const auto address = reinterpret_cast<std::uint64_t>(at);
    if (shoal_nub_call(NUB_CLEAR_WRITE, address, 0, count - 1) != NUB_OK) {
        panic("the nub refuses a page-table entry", address);
    }
}

void unmap_pages(std::uint64_t address, std::size_t count) {
    const PageEntry first = find_page(address);
    if (first.at != nullptr) {
        set_leaves(first.at, 0, count);
    }
}

void unmap_large_page(std::uint64_t address) {
    stop_others();
    this_cpu().has_stale_pages = true;
    if (shoal_nub_call(NUB_LINK, address, 1) != NUB_OK) {
        panic("the nub refuses to unmap", address);
    }
}

void flush_pages(Flush which) {
    bool& has_stale_pages = this_cpu().has_stale_pages;
    if (has_stale_pages || which == Flush::always) {
        has_stale_pages = false;
        shoal_nub_call(NUB_FLUSH);
    }
    let_others_go();
}

}  // namespace shoal::guest
