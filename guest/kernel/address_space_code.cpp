// The kernel's own changes to the program's code.
#include <algorithm>
#include <cstring>

#include "guest/kernel/address_space_pages.h"
#include "guest/kernel/patch/syscall_site.h"

namespace shoal::guest {

std::byte* AddressSpace::own_text(std::uint64_t address) {
    const Area* area = find_area(address);
    if (area == nullptr || !area->file || (area->protection & prot_execute) == 0 ||
        (area->protection & prot_write) != 0) {
        return nullptr;
    }
    const std::uint64_t page = address & ~(page_size - 1);
    PageEntry entry = find_page(page);
    if (entry.kind != PageKind::small) {
        return nullptr;
    }
    if (!entry.owned()) {
        if (copy_pages(*area, page, 1) != FaultResult::resolved) {
            return nullptr;
        }
        entry = find_page(page);
    }
    return static_cast<std::byte*>(kernel_address(entry.physical())) + address % page_size;
}

bool AddressSpace::reserve_stubs() {
    if (!has_stubs_ && is_free(stubs_start, stubs_end)) {
        insert({stubs_start, stubs_end, prot_read | prot_execute, AreaKind::stubs, {}, 0});
        has_stubs_ = true;
    }
    const Area* area = find_area(stubs_start);
    return area != nullptr && area->kind == AreaKind::stubs && area->end == stubs_end;
}

std::byte* AddressSpace::stub_page(std::uint64_t page) {
    const PageEntry entry = find_page(page);
    if (entry.kind == PageKind::small) {
        return static_cast<std::byte*>(kernel_address(entry.physical()));
    }
    void* memory = entry.kind == PageKind::absent ? physical_memory.allocate_page() : nullptr;
    const std::uint64_t flags = entry_flags(prot_read | prot_execute) | PageEntry::owned_bit;
    if (memory == nullptr || !map_pages(page, physical_address(memory) | flags, 1)) {
        return nullptr;
    }
    return static_cast<std::byte*>(memory);
}

bool AddressSpace::write_stub(std::uint64_t address, std::span<const std::byte> code) {
    if (!reserve_stubs()) {
        return false;
    }
    while (!code.empty()) {
        const std::uint64_t offset = address % page_size;
        const auto piece = code.first(std::min<std::size_t>(code.size(), page_size - offset));
        std::byte* const page = stub_page(address - offset);
        if (page == nullptr) {
            return false;
        }
        std::ranges::copy(piece, page + offset);
        address += piece.size();
        code = code.subspan(piece.size());
    }
    return true;
}

}  // namespace shoal::guest
