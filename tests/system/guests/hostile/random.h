// Random: a stream of numbers that its seed determines (xorshift64*).
#pragma once

#include <cstddef>
#include <cstdint>

namespace hostile {

class Random {
public:
    explicit constexpr Random(std::uint64_t seed) : state_{seed * 0x9E37'79B9'7F4A'7C15 | 1} {}

    constexpr std::uint64_t next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545'F491'4F6C'DD1D;
    }
    constexpr std::uint32_t next32() { return static_cast<std::uint32_t>(next() >> 32); }
    constexpr std::uint16_t next16() { return static_cast<std::uint16_t>(next() >> 48); }
    constexpr std::uint32_t below(std::uint32_t limit) {
        return static_cast<std::uint32_t>(std::uint64_t{next32()} * limit >> 32);
    }
    constexpr bool one_in(std::uint32_t count) { return below(count) == 0; }

    template <typename T, std::size_t count>
    constexpr T pick(const T (&values)[count]) {
        return values[below(count)];
    }

private:
    std::uint64_t state_;
};

}  // namespace hostile
