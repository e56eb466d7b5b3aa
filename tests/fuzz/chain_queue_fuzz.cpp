// Fuzzes the driver's side of a virtqueue: the input is what the device writes, between packets.
//
// Whatever that is, a chain comes back at most once, and all descriptors are accounted for.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "devices/host/check.h"
#include "guest/drivers/chain_queue.h"
#include "tests/fuzz/input.h"

using shoal::guest::ChainQueue;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    shoal::fuzz::Input input{data, size_bytes};
    std::vector<std::byte> memory(ChainQueue::memory_bytes);
    ChainQueue queue{memory.data(), 0};
    std::array<std::size_t, ChainQueue::size> in_flight{};  // pieces, by chain
    std::size_t taken = 0;
    while (!input.empty()) {
        const std::size_t count = input.take<std::uint8_t>() % 20 + 1;
        if (queue.free_descriptors() >= count) {
            const std::vector<ChainQueue::Piece> pieces(count);
            in_flight[queue.add(pieces, ChainQueue::Direction::to_device)] = count;
            taken += count;
        }
        static_cast<void>(queue.publish());
        const auto written = input.take_bytes(16);
        const std::size_t at = input.take<std::uint16_t>() % (memory.size() - queue.used_address());
        std::memcpy(memory.data() + queue.used_address() + at, written.data(),
                    std::min(written.size(), memory.size() - queue.used_address() - at));
        while (const auto used = queue.take_used()) {
            SHOAL_CHECK(in_flight[used->chain] != 0);
            taken -= in_flight[used->chain];
            in_flight[used->chain] = 0;
        }
        static_cast<void>(queue.arm_interrupt());
        SHOAL_CHECK(queue.free_descriptors() + taken == ChainQueue::size);
    }
    return 0;
}
