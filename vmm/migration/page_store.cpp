// Pages to their places. A run may lie on both sides of the hole below 4 GiB.
#include "vmm/migration/page_store.h"

#include <algorithm>

namespace shoal::migration {

bool PageStore::put(const PageRun& run) const noexcept {
    const std::uint64_t from = run.first_page * page_bytes;
    const std::uint64_t end = from + run.page_count * page_bytes;
    for (const machine::RamRegion& region : memory_.regions()) {
        const std::uint64_t first = std::max(from, region.file_offset);
        const std::uint64_t last = std::min(end, region.file_offset + region.bytes.size());
        if (first >= last) {
            continue;
        }
        const auto target = region.bytes.subspan(first - region.file_offset, last - first);
        if (!run.bytes.empty()) {
            std::ranges::copy(run.bytes.subspan(first - from, last - first), target.begin());
        } else if (!memory_.discard(target)) {
            return false;
        }
    }
    return true;
}

}  // namespace shoal::migration
