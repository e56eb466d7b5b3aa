// One request, polled for.
#include "guest/drivers/virtio_entropy.h"

#include <algorithm>
#include <cstring>

#include "guest/kernel/clock.h"
#include "guest/kernel/page_table.h"

namespace shoal::guest {
namespace {

// A device whose rate is limited may have nothing for now; the CPU's own entropy has to do then.
// Long enough for a monitor that has to wait for a CPU, or for its own code to come from a disk.
constexpr std::uint64_t answer_limit_ns = 100'000'000;
constexpr std::size_t buffer_offset = page_size / 2;
static_assert(Virtqueue::memory_bytes(Virtqueue::default_size) <= buffer_offset);
static_assert(buffer_offset + entropy_bytes_max <= page_size);

}  // namespace

std::size_t read_entropy(const VirtioMmioPlace& place, std::span<std::byte> bytes) {
    std::byte* memory = try_allocate_for_device(page_size);
    if (memory == nullptr) {
        return 0;
    }
    VirtioMmio device{place};
    Virtqueue queue{memory, physical_address(memory)};
    static_cast<void>(device.reset());
    device.accept(0);
    {
        RegisterBatch batch = device.batch();
        VirtioMmio::start_queue(batch, 0, queue);
        VirtioMmio::start(batch);
    }
    const std::size_t wanted = std::min(bytes.size(), entropy_bytes_max);
    queue.put(0, physical_address(memory + buffer_offset), static_cast<std::uint32_t>(wanted),
              Virtqueue::Direction::from_device);
    device.notify(0, queue);
    const std::uint64_t start = monotonic_ns();
    while (!queue.has_used() && monotonic_ns() - start < answer_limit_ns) {
        asm volatile("pause");
    }
    const auto used = queue.take_used();
    const std::size_t count = used ? std::min<std::size_t>(used->size_bytes, wanted) : 0;
    std::memcpy(bytes.data(), memory + buffer_offset, count);
    device.stop();
    physical_memory.free_page(memory);
    return count;
}

}  // namespace shoal::guest
