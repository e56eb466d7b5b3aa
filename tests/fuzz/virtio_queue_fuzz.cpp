// Fuzzes a virtqueue: the input is guest memory, rings and all, and the features.
//
// Whatever lies there, pop() ends, and every buffer that it returns can be read and written.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "devices/abi/virtio_mmio.h"
#include "devices/host/check.h"
#include "devices/machine/guest_memory.h"
#include "devices/virtio/queue.h"

namespace {

using shoal::machine::Gpa;
using shoal::virtio::Chain;
using shoal::virtio::Queue;

constexpr std::uint64_t memory_bytes = 1 << 20;
constexpr std::uint32_t size = 8;
// What the input fills: the rings, and indirect tables behind them.
constexpr std::size_t window_bytes = 4096;
constexpr std::uint64_t avail_at = 512;
constexpr std::uint64_t used_at = 1024;

void touch(const Chain& chain) {
    std::byte sum{0};
    for (const auto buffer : chain.readable) {
        sum ^= buffer.front() ^ buffer.back();
    }
    for (const auto buffer : chain.writable) {
        buffer.front() = sum;
        buffer.back() = sum;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    static const shoal::machine::GuestMemory memory{memory_bytes};
    if (size_bytes < 1) {
        return 0;
    }
    const auto window = memory.slice(Gpa{0}, window_bytes).value();
    std::ranges::fill(window, std::byte{0});
    std::memcpy(window.data(), data + 1, std::min(size_bytes - 1, window.size()));

    static Queue queue{memory};
    queue.set_features(((data[0] & 1) != 0 ? shoal::abi::virtio::feature::indirect_desc : 0) |
                       ((data[0] & 2) != 0 ? shoal::abi::virtio::feature::event_idx : 0));
    SHOAL_CHECK(queue.configure({size, Gpa{0}, Gpa{avail_at}, Gpa{used_at}}, size));
    // Writing to buffers may change the rings, so that the queue does not end by itself.
    for (std::uint32_t turn = 0; turn < 4 * size; ++turn) {
        const auto chain = queue.pop();
        if (!chain || !*chain) {
            break;
        }
        SHOAL_CHECK((*chain)->readable.size() + (*chain)->writable.size() <= Queue::max_segments);
        touch(**chain);
        queue.push_used((*chain)->head, turn);
        static_cast<void>(queue.should_interrupt());
        queue.suppress_notifications();
        static_cast<void>(queue.enable_notifications());
    }
    return 0;
}
