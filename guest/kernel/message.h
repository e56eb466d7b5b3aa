// Message: a line with numbers in it; no allocation.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace shoal::guest {

// Appends; what does not fit is cut off.
class Message {
public:
    Message& operator<<(std::string_view text) {
        for (const char c : text) {
            if (size_ < buffer_.size()) {
                buffer_[size_++] = c;
            }
        }
        return *this;
    }
    Message& decimal(std::int64_t value) {
        if (value < 0) {
            *this << "-";
        }
        return digits(
            value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value),
            10);
    }
    Message& hex(std::uint64_t value) {
        *this << "0x";
        return digits(value, 16);
    }
    [[nodiscard]] std::string_view view() const { return {buffer_.data(), size_}; }

private:
    Message& digits(std::uint64_t value, unsigned base) {
        std::array<char, 20> reversed;
        std::size_t count = 0;
        do {
            reversed[count++] = "0123456789abcdef"[value % base];
            value /= base;
        } while (value != 0);
        while (count > 0) {
            *this << std::string_view{&reversed[--count], 1};
        }
        return *this;
    }

    std::array<char, 256> buffer_;
    std::size_t size_ = 0;
};

}  // namespace shoal::guest
