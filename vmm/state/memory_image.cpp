// The pages that are worth writing.
#include "vmm/state/memory_image.h"

#include <sys/mman.h>

#include "devices/abi/address_map.h"
#include "vmm/machine/page_set.h"
#include "vmm/machine/zero_page.h"

namespace shoal::state {
namespace {

// Neighbours that are not zero go in one call.
void write_with_holes(std::span<const std::byte> memory, std::uint64_t from, std::uint64_t end,
                      NewFile& file) {
    const auto is_zero = [&](std::uint64_t page) {
        return vmm::is_zero(memory.subspan(page, abi::page_size));
    };
    while (from < end) {
        while (from < end && is_zero(from)) {
            from += abi::page_size;
        }
        std::uint64_t to = from;
        while (to < end && !is_zero(to)) {
            to += abi::page_size;
        }
        file.write(memory.subspan(from, to - from), from);
        from = to;
    }
}

}  // namespace

void write_pages(const machine::GuestMemory& memory, std::span<const std::uint64_t> pages,
                 Zeros zeros, NewFile& file) {
    const std::span<const std::byte> bytes = memory.bytes();
    for (auto range = vmm::next_range(pages, 0); range;
         range = vmm::next_range(pages, range->end)) {
        const std::uint64_t from = range->first * abi::page_size;
        const std::uint64_t end = range->end * abi::page_size;
        if (zeros == Zeros::are_holes) {
            write_with_holes(bytes, from, end, file);
        } else {
            file.write(bytes.subspan(from, end - from), from);
        }
    }
}

void unmap_shared(const machine::GuestMemory& memory) noexcept {
    if (memory.fd() >= 0) {
        // SAFETY: not written to. Of a shared mapping nothing is lost.
        auto* const at = const_cast<std::byte*>(memory.bytes().data());
        ::madvise(at, memory.size_bytes(), MADV_DONTNEED);
    }
}

}  // namespace shoal::state
