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

// What a call takes beside its pages is as much as freeing some of them takes.
constexpr std::uint64_t hole_price_bytes = 8 * page_bytes;

constexpr std::uint64_t max_piece_bytes = 1 << 20;

// Of a buffer, up to the end of a page, so that its pieces free what the whole would.
std::span<std::byte> next_piece(std::span<std::byte> rest) noexcept {
    // SAFETY: only compared with the size of pages, by which guest memory is aligned.
    const auto skew = reinterpret_cast<std::uintptr_t>(rest.data()) % page_bytes;
    return rest.first(std::min<std::uint64_t>(rest.size(), max_piece_bytes - skew));
}

void discard_run(const machine::GuestMemory& memory, std::uint64_t first_pfn, std::uint64_t count,
                 DiscardResult& result) noexcept {
    if (memory.discard(Gpa{first_pfn * page_bytes}, count * page_bytes)) {
        result.discarded_bytes += count * page_bytes;
    } else {
        result.fails += count;
    }
}

}  // namespace

DiscardResult discard_pfns(const machine::GuestMemory& memory, const Chain& chain,
                           Allowance& allowance) noexcept {
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
    std::uint64_t holes = 1;
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
        ++holes;
        start = pfn;
        count = 1;
    }
    discard_run(memory, start, count, result);
    allowance.spend(result.discarded_bytes + holes * hole_price_bytes);
    return result;
}

bool discard_buffers(const machine::GuestMemory& memory, const Chain& chain,
                     DiscardProgress& progress, Allowance& allowance) noexcept {
    DiscardResult& result = progress.result;
    while (progress.idx < chain.writable.size()) {
        if (allowance.bytes == 0) {
            return false;
        }
        const auto buffer = chain.writable[progress.idx];
        const auto rest = buffer.subspan(std::min<std::uint64_t>(progress.offset, buffer.size()));
        const auto piece = next_piece(rest);
        if (memory.discard(piece)) {
            result.discarded_bytes += piece.size();
        } else {
            ++result.fails;
        }
        allowance.spend(piece.size() + hole_price_bytes);
        progress.offset += piece.size();
        if (piece.size() == rest.size()) {
            ++progress.idx;
            progress.offset = 0;
        }
    }
    return true;
}

}  // namespace shoal::virtio
