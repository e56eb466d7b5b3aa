// Input: a fuzzer's bytes, taken as numbers from the front. At the end everything is 0.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace shoal::fuzz {

class Input {
public:
    Input(const std::uint8_t* data, std::size_t size_bytes) : rest_{data, size_bytes} {}

    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }

    template <typename T>
    T take() noexcept {
        T value{};
        const std::size_t count = std::min(sizeof value, rest_.size());
        std::memcpy(&value, rest_.data(), count);
        rest_ = rest_.subspan(count);
        return value;
    }
    // At most `limit` bytes.
    std::span<const std::byte> take_bytes(std::size_t limit) noexcept {
        const auto piece = rest_.first(std::min(limit, rest_.size()));
        rest_ = rest_.subspan(piece.size());
        return std::as_bytes(piece);
    }

private:
    std::span<const std::uint8_t> rest_;
};

}  // namespace shoal::fuzz
