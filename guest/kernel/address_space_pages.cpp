// Areas meet pages: faults are resolved here, and pages come and go.
#include "guest/kernel/address_space_pages.h"

#include <algorithm>
#include <cstring>

#include "guest/kernel/panic.h"
#include "guest/kernel/sched/cpus.h"

namespace shoal::guest {
namespace {

// What one fault brings of small pages. Around the address, since code runs in both directions;
// a fault costs as much as twenty more entries.
constexpr std::uint64_t window_size = 16 * page_size;
constexpr std::uint64_t read_window_size = 32 * page_size;
constexpr std::uint64_t prefetch_size = 64 * page_size;

std::uint64_t large_page_of(std::uint64_t address) {
    return address & ~(large_page_size - 1);
}

bool is_allowed(const Area& area, Access access) {
    switch (access) {
        case Access::read:
            return area.protection != prot_none;
        case Access::write:
            return (area.protection & prot_write) != 0;
        case Access::execute:
            return (area.protection & prot_execute) != 0;
    }
    return false;
}

bool is_absent(std::uint64_t page) {
    return find_page(page).kind == PageKind::absent;
}

// How many pages from `page` on are absent, up to `end` and the end of the leaf table.
std::size_t count_absent(std::uint64_t page, std::uint64_t end) {
    end = std::min(end, large_page_of(page) + large_page_size);
    const std::size_t most = (end - page) / page_size;
    const PageEntry first = find_page(page);
    if (first.at == nullptr) {
        return most;
    }
    std::size_t count = 0;
    while (count < most && first.at[count] == 0) {
        ++count;
    }
    return count;
}

// A page of the initramfs or of a disk; nullptr when there is none that may be shared.
const void* borrowed_page(const Area& area, std::uint64_t page) {
    return area.file->inode().page_for_read((area.file_offset + (page - area.start)) / page_size);
}

// Reads a file's page into memory that is zero; false when the disk fails.
bool read_page(const Area& area, std::uint64_t page, std::byte* to) {
    const std::uint64_t offset = area.file_offset + (page - area.start);
    const std::uint64_t size = area.file->inode().size();
    const std::size_t wanted = offset < size ? std::min(page_size, size - offset) : 0;
    return area.file->inode().read_at(offset, {to, wanted}) == wanted;
}

// Whether all that the rights change of these pages is that none can be written.
bool is_loss_of_write(const std::uint64_t* entries, std::size_t count, std::uint64_t flags) {
    return (flags & NUB_PTE_WRITE) == 0 &&
           std::all_of(entries, entries + count, [flags](std::uint64_t entry) {
               const PageEntry page{PageKind::small, entry & ~std::uint64_t{NUB_PTE_WRITE},
                                    nullptr};
               return entry == 0 || page.has_rights(flags);
           });
}

void release_run(std::byte* pages, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        physical_memory.free_page(pages + i * page_size);
    }
}

// Whether there were any.
bool release_small_pages(const std::uint64_t* entries, std::uint64_t address, std::size_t count) {
    std::size_t first = count;
    std::size_t last = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (entries[i] != 0) {
            first = std::min(first, i);
            last = i + 1;
        }
    }
    if (first < last) {
        stop_others();  // before a page may become somebody else's
    }
    for (std::size_t i = first; i < last; ++i) {
        const PageEntry entry{PageKind::small, entries[i], &entries[i]};
        if (entry.owned()) {
            physical_memory.free_page(map_kernel_ram(entry.physical(), page_size));
        }
    }
    if (first < last) {
        unmap_pages(address + first * page_size, last - first);
    }
    return first < last;
}

}  // namespace

std::uint64_t entry_flags(unsigned protection) {
    std::uint64_t flags = NUB_PTE_PRESENT | NUB_PTE_TOUCHED;
    flags |= protection == prot_none ? 0 : NUB_PTE_USER;
    flags |= (protection & prot_write) != 0 ? NUB_PTE_WRITE : 0;
    flags |= (protection & (prot_execute | prot_write)) == prot_execute ? 0 : NUB_PTE_NO_EXECUTE;
    return flags;
}

// Areas come and go meanwhile: only the file is held.
void AddressSpace::bring_in(std::uint64_t address) {
    const Area* area = find_area(address);
    if (area == nullptr || !area->file || !is_absent(address & ~(page_size - 1))) {
        return;
    }
    const std::uint64_t start = std::max(area->start, address & ~(read_window_size - 1));
    const std::uint64_t end = std::min(area->end, start + read_window_size);
    const EntryRef file = area->file;
    file->inode().bring_in(area->file_offset + (start - area->start), end - start);
}

FaultResult AddressSpace::resolve(std::uint64_t address, Access access) {
    const Area* area = find_area(address);
    if (area == nullptr || !is_allowed(*area, access)) {
        return FaultResult::bad_address;
    }
    const std::uint64_t page = address & ~(page_size - 1);
    const PageEntry entry = find_page(page);
    if (entry.kind != PageKind::absent && is_write_execute(area->protection)) {
        return turn_page(*area, page, access);
    }
    if (entry.kind != PageKind::absent) {
        const bool shared = access == Access::write && !entry.writable();
        if (shared && (entry.kind == PageKind::large || entry.owned())) {
            return FaultResult::bad_address;  // its rights are the area's already
        }
        return shared ? make_own(*area, page) : FaultResult::resolved;
    }
    if (!area->file) {
        return resolve_anonymous(*area, page);
    }
    return access == Access::write ? make_own(*area, page) : resolve_file(*area, page);
}

bool AddressSpace::resolve_all(std::uint64_t address, std::uint64_t size_bytes, Access access) {
    if (size_bytes == 0) {
        return true;
    }
    if (address >= user_end || size_bytes > user_end - address) {
        return false;
    }
    const std::uint64_t end = address + size_bytes;
    for (std::uint64_t at = address; at < end;) {
        const PageEntry entry = find_page(at);
        const bool ready = entry.kind != PageKind::absent && entry.user() &&
                           (access != Access::write || entry.writable());
        if (!ready && resolve(at, access) != FaultResult::resolved) {
            return false;
        }
        const std::uint64_t step = entry.kind == PageKind::large ? large_page_size : page_size;
        at = (at & ~(step - 1)) + step;
    }
    return true;
}

// A page that is there, of an area that is writable and executable, gets what it lacks and loses
// the other: it is one of both at a time.
FaultResult AddressSpace::turn_page(const Area& area, std::uint64_t page, Access access) {
    PageEntry entry = find_page(page);
    const bool enough =
        access == Access::execute ? entry.executable() : access == Access::read || entry.writable();
    if (enough) {
        return FaultResult::resolved;
    }
    if (!entry.owned() && access == Access::write) {
        return make_own(area, page);
    }
    if (entry.kind == PageKind::large) {
        if (!split_large_page(page)) {
            return FaultResult::out_of_memory;
        }
        entry = find_page(page);
    }
    const unsigned one = access == Access::execute ? prot_execute : prot_write;
    const std::uint64_t owner = entry.value & PageEntry::owned_bit;
    if (!map_pages(page, entry.physical() | entry_flags(prot_read | one) | owner, 1)) {
        return FaultResult::out_of_memory;
    }
    flush_pages();
    return FaultResult::resolved;
}

bool AddressSpace::is_alone(const Area& area, std::uint64_t block) const {
    return std::ranges::none_of(areas_, [&](const Area& other) {
        return &other != &area && other.start < block + large_page_size && block < other.end;
    });
}

FaultResult AddressSpace::resolve_anonymous(const Area& area, std::uint64_t page) {
    const std::uint64_t flags = entry_flags(area.protection) | PageEntry::owned_bit;
    const std::uint64_t block = large_page_of(page);
    const bool whole = area.start <= block && block + large_page_size <= area.end;
    // What heap and stack get beyond their ends is theirs to come, unless somebody else is there.
    const bool may_exceed = area.kind != AreaKind::mapping && is_alone(area, block);
    // Who begins at the end has a thread's stack there, of which little is used as a rule.
    const bool is_stack = area.kind == AreaKind::mapping && page >= area.end - window_size;
    if ((whole || may_exceed) && !is_stack && find_page(page).at == nullptr) {
        if (void* memory = physical_memory.allocate_large_page(); memory != nullptr) {
            if (map_large_page(block, physical_address(memory) | flags)) {
                return FaultResult::resolved;
            }
            physical_memory.free_large_page(memory);
        }
    }
    // Stacks grow downwards, other memory is used upwards: the window holds both.
    const std::uint64_t window = page & ~(window_size - 1);
    std::uint64_t first = page;
    while (first > std::max(window, area.start) && is_absent(first - page_size)) {
        first -= page_size;
    }
    const std::size_t wanted = count_absent(first, std::min(area.end, window + window_size));
    std::size_t count = 0;
    void* memory = physical_memory.allocate_run(wanted, count);
    if (memory == nullptr) {
        return FaultResult::out_of_memory;
    }
    if (page - first >= count * page_size) {  // less than was wanted
        first = page - (count - 1) * page_size;
    }
    if (!map_pages(first, physical_address(memory) | flags, count)) {
        release_run(static_cast<std::byte*>(memory), count);
        return FaultResult::out_of_memory;
    }
    return FaultResult::resolved;
}

FaultResult AddressSpace::resolve_file(const Area& area, std::uint64_t page) {
    if (area.file_offset + (page - area.start) >= area.file->inode().size()) {
        return FaultResult::past_end_of_file;
    }
    const auto* at = static_cast<const std::byte*>(borrowed_page(area, page));
    if (area.is_shared && (at == nullptr || !area.file->inode().is_shared())) {
        return share_page(area, page);
    }
    if (at == nullptr) {
        return copy_pages(area, page, 1);
    }
    const std::uint64_t window = page & ~(read_window_size - 1);
    std::uint64_t first = page;
    while (first > std::max(window, area.start) && is_absent(first - page_size) &&
           borrowed_page(area, first - page_size) == at - (page - first) - page_size) {
        first -= page_size;
    }
    return borrow_pages(area, first, window + read_window_size);
}

// The file's own page, which changes with it; what cannot be had is a SIGBUS.
FaultResult AddressSpace::share_page(const Area& area, std::uint64_t page) {
    const void* at =
        area.file->inode().page_for_sharing((area.file_offset + (page - area.start)) / page_size);
    if (at == nullptr) {
        return FaultResult::past_end_of_file;
    }
    const std::uint64_t flags = entry_flags(area.protection & ~prot_write);
    return map_pages(page, physical_address(at) | flags, 1) ? FaultResult::resolved
                                                            : FaultResult::out_of_memory;
}

void AddressSpace::forget_shared_pages(const Inode& file) {
    for (const Area& area : areas_) {
        if (area.is_shared && &area.file->inode() == &file) {
            release_pages(area.start, area.end, PartialPage::split);
        }
    }
}

// Maps a file's pages where they lie, from `page` on, as far as they follow one another.
FaultResult AddressSpace::borrow_pages(const Area& area, std::uint64_t page, std::uint64_t end) {
    const auto* first = static_cast<const std::byte*>(borrowed_page(area, page));
    const std::size_t most = count_absent(page, std::min(area.end, end));
    std::size_t count = 1;
    while (count < most &&
           borrowed_page(area, page + count * page_size) == first + count * page_size) {
        ++count;
    }
    const std::uint64_t flags = entry_flags(area.protection & ~prot_write);
    return map_pages(page, physical_address(first) | flags, count) ? FaultResult::resolved
                                                                   : FaultResult::out_of_memory;
}

// The first write to a page of a file: it becomes the program's own, and so do its neighbours,
// which in data segments are written, too.
FaultResult AddressSpace::make_own(const Area& area, std::uint64_t page) {
    const std::uint64_t window = page & ~(window_size - 1);
    return make_own(area, page, window, window + window_size);
}

FaultResult AddressSpace::make_own(const Area& area, std::uint64_t page, std::uint64_t start,
                                   std::uint64_t end) {
    const std::uint64_t file_end = area.start + (area.file->inode().size() - area.file_offset);
    if (area.file->inode().size() <= area.file_offset || page >= file_end) {
        return FaultResult::past_end_of_file;
    }
    std::uint64_t first = page;
    while (first > std::max(start, area.start) && !find_page(first - page_size).owned()) {
        first -= page_size;
    }
    end = std::min({end, area.end, file_end, large_page_of(page) + large_page_size});
    std::uint64_t last = page + page_size;
    while (last < end && !find_page(last).owned()) {
        last += page_size;
    }
    const FaultResult result = copy_pages(area, first, (last - first) / page_size);
    return result == FaultResult::out_of_memory && last - first > page_size
               ? copy_pages(area, page, 1)
               : result;
}

// Gives the program its own copies of a file's pages, none of which it owns, all within 2 MiB.
FaultResult AddressSpace::copy_pages(const Area& area, std::uint64_t first, std::size_t wanted) {
    bool were_present = false;
    while (wanted > 0) {
        std::size_t count = 0;
        auto* const copies = static_cast<std::byte*>(physical_memory.allocate_run(wanted, count));
        if (copies == nullptr) {
            return FaultResult::out_of_memory;
        }
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint64_t page = first + i * page_size;
            were_present |= !is_absent(page);
            if (!read_page(area, page, copies + i * page_size)) {
                release_run(copies, count);
                return FaultResult::past_end_of_file;  // a disk's error: SIGBUS, as on Linux
            }
        }
        const std::uint64_t flags = entry_flags(area.protection) | PageEntry::owned_bit;
        if (!map_pages(first, physical_address(copies) | flags, count)) {
            return FaultResult::out_of_memory;
        }
        first += count * page_size;
        wanted -= count;
    }
    if (were_present) {
        flush_pages();
    }
    return FaultResult::resolved;
}

// Unmaps what ready tables have there of `old`, but not what the new mapping would have so, too.
void AddressSpace::release_unlike(const Area& old, const MapRequest& request, std::uint64_t end) {
    const std::uint64_t start = request.address;
    // In the file, pages are by so many nearer to its first one than in the address space.
    const std::uint64_t shift =
        (start - (old.start - old.file_offset) - request.file_offset) / page_size;
    const Area wanted{
        start, end, request.protection, AreaKind::mapping, request.file, request.file_offset};
    const auto is_like = [&](std::uint64_t page) {
        const PageEntry entry = find_page(page);
        const std::uint64_t protection =
            entry.owned() ? request.protection : request.protection & ~prot_write;
        return entry.kind == PageKind::absent ||
               (entry.kind == PageKind::small &&
                entry.has_rights(entry_flags(static_cast<unsigned>(protection))) &&
                (entry.owned() ? entry.shift() == shift
                               : borrowed_page(wanted, page) == kernel_address(entry.physical())));
    };
    for (std::uint64_t at = start; at < end;) {
        std::uint64_t stop = at;
        while (stop < end && !is_like(stop)) {
            stop += page_size;
        }
        if (stop != at) {
            release_pages(at, stop, PartialPage::split);
        }
        at = stop + page_size;
    }
}

void AddressSpace::prefetch(std::uint64_t address, std::uint64_t size_bytes) {
    const Area* area = find_area(address);
    if (area == nullptr || !area->file) {
        return;
    }
    const std::uint64_t end = address + std::min(size_bytes, prefetch_size);
    if ((area->protection & prot_write) != 0) {
        if (!find_page(address).owned()) {
            static_cast<void>(make_own(*area, address, address, end));
        }
        return;
    }
    for (; address < end && borrowed_page(*area, address) != nullptr; address += page_size) {
        if (is_absent(address) && borrow_pages(*area, address, end) != FaultResult::resolved) {
            return;
        }
    }
}

std::uint64_t AddressSpace::resident_bytes() const {
    std::uint64_t bytes = 0;
    for (const Area& area : areas_) {
        for (std::uint64_t at = area.start; at < area.end;) {
            const PageEntry entry = find_page(at);
            const bool small = entry.at != nullptr;
            const std::uint64_t next = small ? at + page_size : large_page_of(at) + large_page_size;
            bytes += entry.kind == PageKind::absent ? 0 : std::min(next, area.end) - at;
            at = next;
        }
    }
    return bytes;
}

bool release_pages_unflushed(std::uint64_t start, std::uint64_t end, PartialPage partial) {
    bool changed = false;
    for (std::uint64_t at = start; at < end;) {
        const std::uint64_t block = large_page_of(at);
        const std::uint64_t stop = std::min(end, block + large_page_size);
        const PageEntry entry = find_page(at);
        if (entry.kind == PageKind::large && stop - at < large_page_size &&
            partial == PartialPage::clear) {
            std::memset(static_cast<std::byte*>(map_kernel_ram(entry.physical(), large_page_size)) +
                            (at - block),
                        0, stop - at);
            at = stop;
            continue;
        }
        if (entry.kind == PageKind::large && stop - at < large_page_size &&
            split_large_page(block)) {
            continue;
        }
        if (entry.kind == PageKind::large) {
            unmap_large_page(block);
            if (entry.owned()) {
                physical_memory.free_large_page(kernel_address(entry.physical()));
            }
            changed = true;
        } else if (entry.at != nullptr) {
            changed |= release_small_pages(entry.at, at, (stop - at) / page_size);
        }
        at = stop;
    }
    return changed;
}

void release_pages(std::uint64_t start, std::uint64_t end, PartialPage partial) {
    if (release_pages_unflushed(start, end, partial)) {
        flush_pages();
    }
}

bool protect_pages(const Area& area) {
    const std::uint64_t flags = entry_flags(area.protection);
    for (std::uint64_t at = area.start; at < area.end;) {
        const std::uint64_t block = large_page_of(at);
        const std::uint64_t stop = std::min(area.end, block + large_page_size);
        const PageEntry entry = find_page(at);
        if (entry.kind == PageKind::large) {
            if (stop - at < large_page_size) {
                if (!split_large_page(block)) {
                    return false;
                }
                continue;
            }
            const std::uint64_t owner = entry.value & PageEntry::owned_bit;
            const std::uint64_t physical = entry.physical() & ~(large_page_size - 1);
            if (!map_large_page(block, physical | flags | owner)) {
                return false;
            }
        } else if (entry.at != nullptr) {
            const std::size_t count = (stop - at) / page_size;
            // As loaders do with what they have relocated.
            if (is_loss_of_write(entry.at, count, flags)) {
                make_read_only(entry.at, count);
                at = stop;
                continue;
            }
            for (std::size_t i = 0; i < count; ++i) {
                const PageEntry page{PageKind::small, entry.at[i], nullptr};
                if (page.value == 0) {
                    continue;
                }
                const bool borrowed = area.file && !page.owned();
                const std::uint64_t rights =
                    borrowed ? entry_flags(area.protection & ~prot_write) : flags;
                // Neighbours that lie side by side in RAM change in one call.
                std::size_t run = 1;
                while (i + run < count && entry.at[i + run] == page.value + run * page_size) {
                    ++run;
                }
                const std::uint64_t owner = page.value & PageEntry::owned_bit;
                if (!map_pages(at + i * page_size, page.physical() | rights | owner, run)) {
                    return false;
                }
                i += run - 1;
            }
        }
        at = stop;
    }
    flush_pages();
    return true;
}

namespace {

// How many small pages from `at` on, of at most `most`, lie side by side in RAM with the same
// rights.
std::size_t count_run(const std::uint64_t* at, std::size_t most) {
    std::size_t count = 1;
    while (count < most && at[count] == at[0] + count * page_size) {
        ++count;
    }
    return count;
}

// Moves what is there at `from`, up to `limit` bytes and within one page table on both sides: the
// number of bytes that are done, 0 when there are no more page tables.
std::uint64_t move_some(std::uint64_t from, std::uint64_t to, std::uint64_t limit) {
    PageEntry entry = find_page(from);
    if (entry.kind == PageKind::large) {
        if (from % large_page_size == 0 && to % large_page_size == 0 && limit >= large_page_size &&
            find_page(to).at == nullptr) {
            if (!map_large_page(to, entry.value)) {
                return 0;
            }
            unmap_large_page(from);
            return large_page_size;
        }
        if (!split_large_page(from)) {
            return 0;
        }
        entry = find_page(from);
    }
    const std::uint64_t room = std::min({limit, large_page_of(from) + large_page_size - from,
                                         large_page_of(to) + large_page_size - to});
    if (entry.kind == PageKind::absent) {
        return entry.at == nullptr ? room : page_size;
    }
    const std::size_t count = count_run(entry.at, room / page_size);
    if (!map_pages(to, entry.value, count)) {
        return 0;
    }
    unmap_pages(from, count);
    return count * page_size;
}

}  // namespace

bool move_pages(std::uint64_t from, std::uint64_t to, std::uint64_t size_bytes) {
    stop_others();  // nobody writes to a page on its way
    for (std::uint64_t done = 0; done < size_bytes;) {
        const std::uint64_t moved = move_some(from + done, to + done, size_bytes - done);
        if (moved == 0) {
            // Back: the tables are there.
            for (std::uint64_t at = 0; at < done;) {
                const std::uint64_t returned = move_some(to + at, from + at, done - at);
                if (returned == 0) {
                    panic("a page cannot go back to where it was", from + at);
                }
                at += returned;
            }
            flush_pages();
            return false;
        }
        done += moved;
    }
    flush_pages();
    return true;
}

}  // namespace shoal::guest
