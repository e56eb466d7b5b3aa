// Runs of pages: few holes in the file instead of many.
#include "devices/virtio/balloon_pages.h"

#include <algorithm>
#include <array>
#include <span>

#include "devices/abi/virtio_balloon.h"
#include "devices/virtio/chain_bytes.h"

namespace shoal::virtio {
namespace {

using machine::Gpa;

constexpr std::uint64_t page_bytes = 1ULL << abi::virtio::balloon::pfn_shift;

void discard_run(const machine::GuestMemory& memory, std::uint64_t first_pfn, std::uint64_t count,
                 DiscardResult& result) noexcept {
    if (memory.discard(Gpa{first_pfn * page_bytes}, count * page_bytes)) {
        result.discarded_bytes += count * page_bytes;
    } else {
        result.fails += count;
    }
}

}  // namespace

DiscardResult discard_pfns(const machine::GuestMemory& memory, const Chain& chain) noexcept {
    std::array<std::uint32_t, max_pfns_per_chain> copy;
    const std::size_t size_bytes = copy_readable(chain, std::as_writable_bytes(std::span{copy}));
    DiscardResult result;
    result.fails =
        size_of(chain.readable) > sizeof copy || size_bytes % sizeof copy[0] != 0 ? 1 : 0;

    auto pfns = std::span{copy}.first(size_bytes / sizeof copy[0]);
    std::ranges::sort(pfns);
    const auto end = std::unique(pfns.begin(), pfns.end());
    pfns = pfns.first(static_cast<std::size_t>(end - pfns.begin()));
    std::uint64_t start = 0;
    std::uint64_t count = 0;
    for (const std::uint64_t pfn : pfns) {
        // Each page by itself: one that is none must not spoil its neighbours.
        if (!memory.slice(Gpa{pfn * page_bytes}, page_bytes)) {
            ++result.fails;
            continue;
        }
        if (count > 0 && pfn == start + count) {
            ++count;
            continue;
        }
        discard_run(memory, start, count, result);
        start = pfn;
        count = 1;
    }
    discard_run(memory, start, count, result);
    return result;
}

DiscardResult discard_buffers(const machine::GuestMemory& memory, const Chain& chain) noexcept {
    DiscardResult result;
    for (const std::span<std::byte> buffer : chain.writable) {
        if (memory.discard(buffer)) {
            result.discarded_bytes += buffer.size();
        } else {
            ++result.fails;
        }
    }
    return result;
}

}  // namespace shoal::virtio
