// Requests: the numbers of a large page's small pages.
#include "guest/drivers/balloon_inflation.h"

#include <algorithm>
#include <cstring>

#include "devices/abi/virtio_balloon.h"
#include "guest/kernel/clock.h"
#include "guest/kernel/page_table.h"
#include "guest/kernel/physical_memory.h"

namespace shoal::guest {

namespace balloon = abi::virtio::balloon;

namespace {

constexpr std::uint64_t kept_back_share = 16;
constexpr std::uint64_t answer_limit_ns = 2'000'000'000;

bool may_withdraw() {
    return physical_memory.free_bytes() >=
           physical_memory.total_bytes() / kept_back_share + large_page_size;
}

}  // namespace

BalloonInflation::BalloonInflation(VirtioMmio& device, Virtqueue& inflate, Virtqueue& deflate,
                                   std::byte* request)
    : device_{device}, inflate_{inflate}, deflate_{deflate}, request_{request} {
    held_.reserve(physical_memory.total_bytes() / large_page_size);
}

void BalloonInflation::tell(std::uint32_t idx, Virtqueue& queue, const void* page) {
    const auto first = static_cast<std::uint32_t>(physical_address(page) >> balloon::pfn_shift);
    for (std::uint32_t i = 0; i < pages_of_large; ++i) {
        const std::uint32_t number = first + i;
        std::memcpy(request_ + i * sizeof number, &number, sizeof number);
    }
    queue.put(0, physical_address(request_), request_bytes, Virtqueue::Direction::to_device);
    busy_ = &queue;
    device_.notify(idx, queue);
}

void BalloonInflation::go_on() {
    if (busy_ != nullptr) {
        return;
    }
    if (held_.size() > wanted_) {
        void* page = held_.back();
        held_.pop_back();
        physical_memory.return_large_page(page);
        tell(balloon::deflate_queue, deflate_, page);
        return;
    }
    if (held_.size() == std::min(wanted_, held_.capacity()) || !may_withdraw()) {
        return;
    }
    if (void* page = physical_memory.withdraw_large_page()) {
        held_.push_back(page);
        tell(balloon::inflate_queue, inflate_, page);
    }
}

bool BalloonInflation::collect() {
    if (busy_ == nullptr || !busy_->take_used()) {
        return false;
    }
    busy_ = nullptr;
    return true;
}

// A page must not be used while the device may still discard what lies in it.
bool BalloonInflation::give_back() {
    const std::uint64_t start = monotonic_ns();
    while (busy_ != nullptr && monotonic_ns() - start < answer_limit_ns) {
        collect();
    }
    if (busy_ != nullptr || held_.empty()) {
        return false;
    }
    wanted_ = held_.size() - 1;
    go_on();
    return true;
}

}  // namespace shoal::guest
