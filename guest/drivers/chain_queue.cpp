// The driver's side of a split virtqueue, with chains.
#include "guest/drivers/chain_queue.h"

#include <atomic>
#include <cstring>

namespace shoal::guest {

using namespace abi::virtio;

ChainQueue::ChainQueue(std::byte* memory, std::uint64_t physical)
    : memory_{memory}, physical_{physical} {
    for (std::uint16_t i = 0; i < size; ++i) {
        next_[i] = static_cast<std::uint16_t>(i + 1);
    }
    disarm_interrupt();
}

volatile std::uint16_t& ChainQueue::avail_word(std::uint64_t offset) const {
    return *reinterpret_cast<volatile std::uint16_t*>(memory_ + avail_offset + offset);
}

volatile std::uint16_t& ChainQueue::used_word(std::uint64_t offset) const {
    return *reinterpret_cast<volatile std::uint16_t*>(memory_ + used_offset + offset);
}

std::uint16_t ChainQueue::add(std::span<const Piece> pieces, Direction direction) {
    const std::uint16_t head = first_free_;
    const std::uint16_t written = direction == Direction::from_device ? descriptor_flag::write : 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        const std::uint16_t idx = first_free_;
        first_free_ = next_[idx];
        const bool is_last = i + 1 == pieces.size();
        const Descriptor descriptor{
            pieces[i].physical, pieces[i].size_bytes,
            static_cast<std::uint16_t>(written | (is_last ? 0 : descriptor_flag::next)),
            is_last ? std::uint16_t{0} : first_free_};
        std::memcpy(memory_ + idx * sizeof descriptor, &descriptor, sizeof descriptor);
    }
    chain_size_[head] = static_cast<std::uint16_t>(pieces.size());
    free_count_ = static_cast<std::uint16_t>(free_count_ - pieces.size());
    avail_word(avail_ring_offset + 2 * (next_avail_ % size)) = head;
    ++next_avail_;
    return head;
}

bool ChainQueue::publish() {
    if (next_avail_ == published_) {
        return false;
    }
    // The device reads descriptors and ring entries after it has seen the index (2.7.13.1).
    std::atomic_thread_fence(std::memory_order_release);
    avail_word(avail_idx_offset) = next_avail_;
    // The device moves its event before it looks at the index for the last time: with both sides'
    // barriers, one of us sees the other (2.7.13.4).
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const std::uint16_t event = used_word(used_avail_event_offset(size));
    const std::uint16_t before = published_;
    published_ = next_avail_;
    return passes_event(event, next_avail_, before);
}

bool ChainQueue::has_used() const {
    return used_word(used_idx_offset) != next_used_;
}

std::optional<ChainQueue::Used> ChainQueue::take_used() {
    while (has_used()) {
        // Pairs with the device's barrier between the element and the index (2.7.14).
        std::atomic_thread_fence(std::memory_order_acquire);
        UsedElement element;
        std::memcpy(&element,
                    memory_ + used_offset + used_ring_offset + sizeof element * (next_used_ % size),
                    sizeof element);
        const auto interrupts = next_used_ == used_event_ ? Interrupts::one : Interrupts::none;
        ++next_used_;
        if (element.id >= size || chain_size_[element.id] == 0) {
            continue;
        }
        const auto head = static_cast<std::uint16_t>(element.id);
        std::uint16_t last = head;
        for (std::uint16_t i = 1; i < chain_size_[head]; ++i) {
            last = next_[last];
        }
        next_[last] = first_free_;
        first_free_ = head;
        free_count_ = static_cast<std::uint16_t>(free_count_ + chain_size_[head]);
        chain_size_[head] = 0;
        return Used{head, element.size_bytes, interrupts};
    }
    return std::nullopt;
}

bool ChainQueue::arm_interrupt() {
    avail_word(avail_used_event_offset(size)) = used_event_ = next_used_;
    // Pairs with the device's barrier between its index and its look at the event (2.7.10.1).
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return has_used();
}

void ChainQueue::disarm_interrupt() {
    // An index that lies as far ahead as can be; it is passed once in 65536 uses.
    used_event_ = static_cast<std::uint16_t>(next_used_ - 1);
    avail_word(avail_used_event_offset(size)) = used_event_;
}

}  // namespace shoal::guest
