// NetBuffers: chains of the receive queue that are at hand for the next packets, as one list of
// memory pieces that a readv() fills from the start.
//
// No locks: the device holds its mutex.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "devices/abi/virtio_queue.h"
#include "devices/virtio/queue.h"

namespace shoal::virtio {

// A queue whose elements lie side by side: what was taken from the front leaves a gap, which is
// closed once in a while.
template <typename T, std::size_t capacity>
class SlidingArray {
public:
    [[nodiscard]] std::span<const T> view() const noexcept {
        return std::span{elements_}.subspan(begin_, count_);
    }
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    [[nodiscard]] std::size_t room() const noexcept { return capacity - count_; }

    // There is room.
    void push_back(const T& element) noexcept {
        if (begin_ + count_ == capacity) {
            std::ranges::copy(view(), elements_.begin());
            begin_ = 0;
        }
        elements_[begin_ + count_++] = element;
    }
    void pop_back() noexcept { --count_; }
    void pop_front(std::size_t count) noexcept {
        begin_ += count;
        count_ -= count;
    }
    void clear() noexcept { begin_ = count_ = 0; }

private:
    std::array<T, capacity> elements_;
    std::size_t begin_ = 0;
    std::size_t count_ = 0;
};

class NetBuffers {
public:
    // Takes chains from the queue until there are `wanted_bytes`, or no more of them, or no more
    // room here. A chain that has no room for a packet's header is the driver's mistake.
    [[nodiscard]] std::expected<void, QueueError> gather(Queue& queue,
                                                         std::size_t wanted_bytes) noexcept;

    [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }
    [[nodiscard]] bool is_empty() const noexcept { return chains_.size() == 0; }
    // Whether the queue cannot give more than is here.
    [[nodiscard]] bool is_full(const Queue& queue) const noexcept {
        return !has_room() || chains_.size() >= queue.size();
    }

    // All pieces, and `overflow` behind them. Lasts until the next call.
    [[nodiscard]] std::span<const iovec> pieces(std::span<std::byte> overflow) noexcept;
    // Writes at an offset from the start of all pieces. They are long enough.
    void write_at(std::size_t offset, std::span<const std::byte> bytes) noexcept;

    // A packet of this size, header included, lies at the start, in one chain or more: tells the
    // driver, at once for all of them.
    void deliver(Queue& queue, std::size_t packet_bytes) noexcept;

    // Back into the queue, as if nothing had been gathered.
    void give_back(Queue& queue) noexcept;
    void clear() noexcept;

private:
    struct Held {
        std::uint16_t head;
        std::uint16_t piece_count;
        std::uint32_t size_bytes;
    };
    // readv() takes no more. One is for the overflow.
    static constexpr std::size_t max_pieces = IOV_MAX;

    [[nodiscard]] bool has_room() const noexcept {
        return pieces_.room() > Queue::max_segments && chains_.room() > 0;
    }
    void hold(const Chain& chain, std::uint32_t size_bytes) noexcept;

    SlidingArray<iovec, max_pieces> pieces_;
    SlidingArray<Held, Queue::max_size> chains_;
    std::array<abi::virtio::UsedElement, Queue::max_size> used_;
    std::size_t size_bytes_ = 0;
};

}  // namespace shoal::virtio
