// The driver's statistics.
#include "devices/virtio/balloon_statistics.h"

#include <cstring>
#include <span>

#include "devices/virtio/chain_bytes.h"

namespace shoal::virtio {

namespace balloon = abi::virtio::balloon;

namespace {

// Linux sends 10 to 16; tags that are not known are skipped.
constexpr std::size_t max_statistics = 32;

}  // namespace

// A driver has one buffer here; one that sends more gets the older one back. So no more than a
// queue full of them are taken in one call.
std::expected<BalloonStatistics::Taken, QueueError> BalloonStatistics::take(Queue& queue) noexcept {
    Taken taken;
    for (std::uint32_t turn = 0; turn < Queue::max_size; ++turn) {
        const auto chain = queue.pop();
        if (!chain) {
            return std::unexpected(chain.error());
        }
        if (!*chain) {
            if (queue.enable_notifications()) {
                continue;
            }
            return taken;
        }
        ask(queue);
        buffer_ = (*chain)->head;
        ++(parse(**chain) ? taken.updates : taken.fails);
    }
    taken.more = true;
    return taken;
}

bool BalloonStatistics::parse(const Chain& chain) noexcept {
    std::array<std::byte, max_statistics * balloon::statistic_bytes> copy;
    const std::size_t size_bytes = copy_readable(chain, copy);
    const std::size_t count = size_bytes / balloon::statistic_bytes;
    for (std::size_t idx = 0; idx < count; ++idx) {
        const auto one = std::span{copy}.subspan(idx * balloon::statistic_bytes);
        std::uint16_t tag = 0;
        std::uint64_t value = 0;
        std::memcpy(&tag, one.data(), sizeof tag);
        std::memcpy(&value, one.data() + balloon::statistic_value_offset, sizeof value);
        if (tag < latest_.size()) {
            latest_[tag] = value;
        }
    }
    return size_of(chain.readable) == count * balloon::statistic_bytes;
}

void BalloonStatistics::ask(Queue& queue) noexcept {
    if (buffer_) {
        queue.push_used(*buffer_, 0);
        buffer_.reset();
    }
}

}  // namespace shoal::virtio
