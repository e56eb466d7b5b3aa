// ByteQueue: bytes first in, first out, in a fixed place.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace shoal::legacy {

template <std::size_t capacity>
class ByteQueue {
public:
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t room() const noexcept { return capacity - size_; }
    // There is room.
    void push(std::byte byte) noexcept { bytes_[(start_ + size_++) % capacity] = byte; }
    // It is not empty.
    std::byte pop() noexcept {
        const std::byte byte = bytes_[start_];
        drop(1);
        return byte;
    }
    // The oldest bytes that lie side by side.
    [[nodiscard]] std::span<const std::byte> front() const noexcept {
        return std::span{bytes_}.subspan(start_, std::min(size_, capacity - start_));
    }
    void drop(std::size_t count) noexcept {
        start_ = (start_ + count) % capacity;
        size_ -= count;
    }
    void clear() noexcept { size_ = 0; }

    // For a saved state; what does not fit is left out.
    [[nodiscard]] std::vector<std::byte> save() const {
        std::vector<std::byte> bytes(size_);
        for (std::size_t idx = 0; idx < size_; ++idx) {
            bytes[idx] = bytes_[(start_ + idx) % capacity];
        }
        return bytes;
    }
    void restore(std::span<const std::byte> bytes) noexcept {
        start_ = 0;
        size_ = std::min(bytes.size(), capacity);
        std::ranges::copy(bytes.first(size_), bytes_.begin());
    }

private:
    std::array<std::byte, capacity> bytes_{};
    std::size_t start_ = 0;
    std::size_t size_ = 0;
};

}  // namespace shoal::legacy
