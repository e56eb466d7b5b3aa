// The driver's side of a split virtqueue.
#include "guest/drivers/virtqueue.h"

#include <atomic>
#include <cstring>

namespace shoal::guest {

using namespace abi::virtio;

Virtqueue::Virtqueue(std::byte* memory, std::uint64_t physical, std::uint16_t size)
    : memory_{memory}, physical_{physical}, size_{size} {
    set_interrupts(Interrupts::off);
}

volatile std::uint16_t& Virtqueue::avail_word(std::uint64_t offset) const {
    return *reinterpret_cast<volatile std::uint16_t*>(memory_ + avail_offset(size_) + offset);
}

volatile std::uint16_t& Virtqueue::used_word(std::uint64_t offset) const {
    return *reinterpret_cast<volatile std::uint16_t*>(memory_ + used_offset(size_) + offset);
}

void Virtqueue::put_chain(std::uint16_t slot, std::span<const Buffer> buffers) {
    for (std::size_t i = 0; i < buffers.size(); ++i) {
        const auto at = static_cast<std::uint16_t>(slot + i);
        const Direction direction = buffers[i].direction;
        const bool is_last = i + 1 == buffers.size();
        const auto flags = static_cast<std::uint16_t>(
            (direction == Direction::from_device ? descriptor_flag::write : 0) |
            (is_last ? 0 : descriptor_flag::next));
        const auto next = static_cast<std::uint16_t>(is_last ? 0 : at + 1);
        const Descriptor descriptor{buffers[i].physical, buffers[i].size_bytes, flags, next};
        std::memcpy(memory_ + at * sizeof descriptor, &descriptor, sizeof descriptor);
    }
    avail_word(avail_ring_offset + 2ULL * wrap(next_avail_)) = slot;
    ++next_avail_;
    // The device reads descriptors and ring entry after it has seen the index (2.7.13.1).
    std::atomic_thread_fence(std::memory_order_release);
    avail_word(avail_idx_offset) = next_avail_;
}

bool Virtqueue::has_used() const {
    return used_word(used_idx_offset) != next_used_;
}

std::optional<UsedBuffer> Virtqueue::take_used() {
    if (!has_used()) {
        return std::nullopt;
    }
    // Pairs with the device's barrier between the element and the index (2.7.14).
    std::atomic_thread_fence(std::memory_order_acquire);
    UsedElement element;
    std::memcpy(&element,
                memory_ + used_offset(size_) + used_ring_offset + sizeof element * wrap(next_used_),
                sizeof element);
    ++next_used_;
    return UsedBuffer{wrap(element.id), element.size_bytes};
}

bool Virtqueue::needs_notify() {
    // The device clears its flag before it looks at the index for the last time: with both sides'
    // barriers, one of us sees the other (2.7.13.4).
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return (used_word(0) & used_no_notify) == 0;
}

void Virtqueue::set_interrupts(Interrupts interrupts) {
    avail_word(0) = interrupts == Interrupts::off ? avail_no_interrupt : 0;
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

}  // namespace shoal::guest
