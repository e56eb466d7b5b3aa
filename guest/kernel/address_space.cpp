// Areas: what the program asked to have where.
#include "guest/kernel/address_space.h"

#include <algorithm>
#include <cstring>

#include "guest/kernel/address_space_pages.h"
#include "guest/kernel/random.h"
#include "guest/kernel/ready_tables.h"
#include "guest/kernel/space_numbers.h"

namespace shoal::guest {
namespace {

constexpr std::uint64_t stack_size = 8ULL << 20;
constexpr std::uint64_t heap_end = NUB_STACK_TOP - stack_size - large_page_size;
constexpr std::uint64_t lowest_mapping = NUB_STACK_TOP + large_page_size;
constexpr unsigned mapping_random_bits = 28;       // pages, as Linux (vm.mmap_rnd_bits)
constexpr std::uint64_t lowest_address = 0x10000;  // vm.mmap_min_addr
constexpr std::size_t max_areas = 65530;           // vm.max_map_count

std::uint64_t page_up(std::uint64_t value) {
    return (value + page_size - 1) & ~(page_size - 1);
}

bool is_page_aligned(std::uint64_t value) {
    return value % page_size == 0;
}

// Whole pages within the program's half, not wrapping.
bool is_user_range(std::uint64_t start, std::uint64_t size_bytes) {
    return is_page_aligned(start) && start >= lowest_address && start <= user_end &&
           size_bytes <= user_end - start;
}

}  // namespace

AddressSpace::AddressSpace()
    : number_{take_space_number()},
      mappings_start_{lowest_mapping + random_number(mapping_random_bits) * page_size} {
    insert({NUB_STACK_TOP - stack_size,
            NUB_STACK_TOP,
            prot_read | prot_write,
            AreaKind::stack,
            {},
            0});
}

Area* AddressSpace::find_area(std::uint64_t address) {
    const auto after =
        std::upper_bound(areas_.begin(), areas_.end(), address,
                         [](std::uint64_t value, const Area& area) { return value < area.start; });
    if (after == areas_.begin() || (after - 1)->end <= address) {
        return nullptr;
    }
    return &*(after - 1);
}

bool AddressSpace::is_free(std::uint64_t start, std::uint64_t end) const {
    return std::none_of(areas_.begin(), areas_.end(),
                        [=](const Area& area) { return area.start < end && start < area.end; });
}

bool AddressSpace::is_covered(std::uint64_t start, std::uint64_t end) const {
    for (const Area& area : areas_) {
        if (area.start <= start && start < area.end) {
            start = area.end;
        }
        if (start >= end) {
            return true;
        }
    }
    return false;
}

std::uint64_t AddressSpace::find_gap(std::uint64_t size_bytes, std::uint64_t alignment,
                                     std::uint64_t from) const {
    std::uint64_t at = (from + alignment - 1) & ~(alignment - 1);
    for (const Area& area : areas_) {
        if (area.end <= at) {
            continue;
        }
        if (area.start >= at && size_bytes <= area.start - at) {
            break;
        }
        at = (area.end + alignment - 1) & ~(alignment - 1);
    }
    return at <= user_end && size_bytes <= user_end - at ? at : 0;
}

void AddressSpace::split_areas_at(std::uint64_t address) {
    Area* area = find_area(address);
    if (area == nullptr || area->start == address) {
        return;
    }
    Area upper = *area;
    upper.start = address;
    upper.file_offset += address - area->start;
    area->end = address;
    areas_.insert(areas_.begin() + position_of(address), std::move(upper));
}

// Where an area that starts at `start` belongs.
std::ptrdiff_t AddressSpace::position_of(std::uint64_t start) const {
    const auto after = std::upper_bound(
        areas_.begin(), areas_.end(), start,
        [](std::uint64_t value, const Area& other) { return value < other.start; });
    return after - areas_.begin();
}

// Neighbours that are alike become one.
void AddressSpace::insert(Area area) {
    const std::ptrdiff_t at = position_of(area.start);
    if (at != 0 && !area.file) {
        Area& before = *(areas_.begin() + at - 1);
        if (!before.file && before.end == area.start && before.protection == area.protection &&
            before.kind == area.kind && before.kind == AreaKind::mapping) {
            before.end = area.end;
            return;
        }
    }
    areas_.insert(areas_.begin() + at, std::move(area));
}

void AddressSpace::forget(std::uint64_t start, std::uint64_t end) {
    split_areas_at(start);
    split_areas_at(end);
    std::erase_if(areas_, [=](const Area& area) { return area.start >= start && area.end <= end; });
}

void AddressSpace::remove(std::uint64_t start, std::uint64_t end) {
    forget(start, end);
    release_pages(start, end, PartialPage::split);
}

// Loaders map all of a library, and then its segments over that: the area of the whole.
const Area* AddressSpace::find_ready(const MapRequest& request, std::uint64_t end) {
    const Area* area = find_area(request.address);
    return area != nullptr && area->is_ready && request.file && !request.is_shared &&
                   area->end >= end && &area->file->inode() == &request.file->inode()
               ? area
               : nullptr;
}

std::uint64_t AddressSpace::find_ready_place(const MapRequest& request, std::uint64_t size_bytes) {
    return request.file && !request.is_shared && request.file_offset == 0 &&
                   (request.protection & prot_write) == 0
               ? link_ready(request.file, size_bytes, mappings_start_)
               : 0;
}

std::uint64_t AddressSpace::link_ready(const EntryRef& file, std::uint64_t size_bytes,
                                       std::uint64_t from) {
    const void* first_page = file->inode().page_for_read(0);
    const auto run = first_page == nullptr ? std::nullopt : ready_tables.find(first_page);
    if (!run || size_bytes < run->pages * page_size) {
        return 0;
    }
    const std::uint64_t lead = run->first_entry * page_size;
    const std::uint64_t room = (lead + size_bytes + large_page_size - 1) & ~(large_page_size - 1);
    const std::uint64_t block = find_gap(room, large_page_size, from);
    if (block == 0) {
        return 0;
    }
    for (std::size_t i = 0; i < run->count; ++i) {
        if (!link_ready_table(block + i * large_page_size, run->start + i * page_size)) {
            release_pages(block, block + i * large_page_size, PartialPage::split);
            return 0;
        }
    }
    ready_tables.take(*run);
    return block + lead;
}

Result<std::uint64_t> AddressSpace::map(const MapRequest& request) {
    const std::uint64_t size = page_up(request.size_bytes);
    if (size == 0 || !is_page_aligned(request.file_offset)) {
        return std::unexpected(Errno::inval);
    }
    if (size > user_end || size < request.size_bytes || areas_.size() >= max_areas) {
        return std::unexpected(Errno::nomem);
    }
    if (!request.file && (request.protection & prot_write) != 0 &&
        size > physical_memory.total_bytes()) {
        return std::unexpected(Errno::nomem);
    }
    std::uint64_t start = request.address;
    bool is_ready = false;
    if (request.placement == Placement::anywhere) {
        start &= ~(page_size - 1);
        if (start == 0 || !is_user_range(start, size) || !is_free(start, start + size)) {
            start = find_ready_place(request, size);
            is_ready = start != 0;
        }
        if (start == 0) {
            const bool large = !request.file && size >= large_page_size;
            const std::uint64_t alignment = large ? large_page_size : page_size;
            // A stack's first pages shall lie in one page table, so its end is aligned.
            const std::uint64_t lead = request.is_stack ? (0 - size) & (alignment - 1) : 0;
            start = find_gap(lead + size, alignment, mappings_start_);
            start += start != 0 ? lead : 0;
        }
        if (start == 0) {
            return std::unexpected(Errno::nomem);
        }
    } else {
        if (!is_user_range(start, size)) {
            return std::unexpected(is_page_aligned(start) ? Errno::nomem : Errno::inval);
        }
        if (!is_free(start, start + size)) {
            if (request.placement == Placement::exclusive) {
                return std::unexpected(Errno::exist);
            }
            if (const Area* area = find_ready(request, start + size)) {
                release_unlike(*area, request, start + size);
                forget(start, start + size);
            } else {
                remove(start, start + size);
            }
        }
    }
    insert({start, start + size, request.protection, AreaKind::mapping, request.file,
            request.file_offset, is_ready, request.is_shared});
    return start;
}

Result<void> AddressSpace::unmap(std::uint64_t address, std::uint64_t size_bytes) {
    const std::uint64_t size = page_up(size_bytes);
    if (size == 0 || !is_page_aligned(address) || address > user_end || size > user_end - address) {
        return std::unexpected(Errno::inval);
    }
    remove(address, address + size);
    return {};
}

Result<void> AddressSpace::protect(std::uint64_t address, std::uint64_t size_bytes,
                                   unsigned protection) {
    const std::uint64_t size = page_up(size_bytes);
    if (!is_page_aligned(address) || (protection & ~7U) != 0) {
        return std::unexpected(Errno::inval);
    }
    if (size == 0) {
        return {};
    }
    if (!is_user_range(address, size) || !is_covered(address, address + size)) {
        return std::unexpected(Errno::nomem);
    }
    const std::uint64_t end = address + size;
    if ((protection & prot_write) != 0 && std::ranges::any_of(areas_, [=](const Area& area) {
            return area.is_shared && area.start < end && address < area.end;
        })) {
        return std::unexpected(Errno::acces);
    }
    split_areas_at(address);
    split_areas_at(end);
    for (Area& area : areas_) {
        if (area.start < address || area.end > end || area.protection == protection) {
            continue;
        }
        area.protection = protection;
        if (!protect_pages(area)) {
            return std::unexpected(Errno::nomem);
        }
    }
    return {};
}

Result<std::uint64_t> AddressSpace::remap(std::uint64_t address, std::uint64_t old_size,
                                          std::uint64_t new_size, Placement placement,
                                          std::uint64_t new_address) {
    const std::uint64_t from = page_up(old_size);
    const std::uint64_t to = page_up(new_size);
    if (!is_page_aligned(address) || to == 0 || from == 0) {
        return std::unexpected(Errno::inval);
    }
    const Area* found = find_area(address);
    if (found == nullptr || found->end < address || from > found->end - address) {
        return std::unexpected(Errno::fault);
    }
    const Area area = *found;
    if (placement == Placement::replace && new_address < address + from &&
        address < new_address + to) {
        return std::unexpected(Errno::inval);
    }
    if (placement != Placement::replace) {
        if (to <= from) {
            remove(address + to, address + from);
            return address;
        }
        if (area.end == address + from && is_user_range(address, to) &&
            is_free(area.end, address + to)) {
            insert({area.end, address + to, area.protection, area.kind, area.file,
                    area.file_offset + (area.end - area.start), false, area.is_shared});
            return address;
        }
        if (placement == Placement::exclusive) {
            return std::unexpected(Errno::nomem);
        }
    }
    const auto target = map({new_address, to, area.protection, placement, area.file,
                             area.file_offset + (address - area.start), false, area.is_shared});
    if (!target) {
        return target;
    }
    release_pages(*target, *target + to, PartialPage::split);  // ready tables of a file
    if (!move_pages(address, *target, std::min(from, to))) {
        remove(*target, *target + to);
        return std::unexpected(Errno::nomem);
    }
    remove(address, address + from);
    return *target;
}

Result<void> AddressSpace::discard(std::uint64_t address, std::uint64_t size_bytes) {
    const std::uint64_t size = page_up(size_bytes);
    if (!is_page_aligned(address)) {
        return std::unexpected(Errno::inval);
    }
    if (!is_user_range(address, size) || !is_covered(address, address + size)) {
        return std::unexpected(Errno::nomem);
    }
    release_pages(address, address + size, PartialPage::clear);
    return {};
}

std::uint64_t AddressSpace::set_break(std::uint64_t address) {
    if (address < NUB_HEAP || address > heap_end ||
        address - NUB_HEAP > physical_memory.total_bytes()) {
        return break_;
    }
    const std::uint64_t old_end = page_up(break_);
    const std::uint64_t new_end = page_up(address);
    if (new_end < old_end) {
        split_areas_at(new_end);
        std::erase_if(
            areas_, [=](const Area& area) { return area.start >= new_end && area.end <= old_end; });
        release_pages(new_end, old_end, PartialPage::clear);
    } else if (new_end > old_end) {
        Area* heap = find_area(old_end - 1);
        if (old_end > NUB_HEAP && heap != nullptr && heap->kind == AreaKind::heap &&
            heap->protection == (prot_read | prot_write)) {
            heap->end = new_end;
        } else {
            insert({old_end, new_end, prot_read | prot_write, AreaKind::heap, {}, 0});
        }
    }
    break_ = address;
    return break_;
}

}  // namespace shoal::guest
