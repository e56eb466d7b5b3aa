// The bus: a few sorted ranges.
#include "vmm/machine/bus.h"

#include <algorithm>

#include "devices/host/check.h"

namespace shoal::vmm {

void Bus::add(std::uint64_t start, std::uint64_t size_bytes, machine::BusDevice& device) {
    SHOAL_CHECK(size_bytes > 0 && start <= UINT64_MAX - size_bytes);
    const auto after = std::ranges::upper_bound(ranges_, start, {}, &Range::start);
    SHOAL_CHECK(after == ranges_.end() || start + size_bytes <= after->start);
    SHOAL_CHECK(after == ranges_.begin() ||
                std::prev(after)->start + std::prev(after)->size_bytes <= start);
    ranges_.insert(after, {start, size_bytes, &device});
}

const Bus::Range* Bus::find(std::uint64_t address, std::size_t size_bytes) const noexcept {
    const auto after = std::ranges::upper_bound(ranges_, address, {}, &Range::start);
    if (after == ranges_.begin()) {
        return nullptr;
    }
    const Range& range = *std::prev(after);
    const std::uint64_t offset = address - range.start;
    const bool inside = offset < range.size_bytes && size_bytes <= range.size_bytes - offset;
    return inside ? &range : nullptr;
}

void Bus::read(std::uint64_t address, std::span<std::byte> data) noexcept {
    if (const Range* range = find(address, data.size())) {
        range->device->read(address - range->start, data);
        return;
    }
    unanswered_.fetch_add(1, std::memory_order_relaxed);
    std::ranges::fill(data, std::byte{0xFF});
}

void Bus::write(std::uint64_t address, std::span<const std::byte> data) noexcept {
    if (const Range* range = find(address, data.size())) {
        range->device->write(address - range->start, data);
        return;
    }
    unanswered_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace shoal::vmm
