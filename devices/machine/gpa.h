// Gpa: a guest-physical address. Explicit, compared, added to with a check, never dereferenced.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>

namespace shoal::machine {

class Gpa {
public:
    constexpr Gpa() noexcept = default;
    constexpr explicit Gpa(std::uint64_t value) noexcept : value_{value} {}

    [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }

    // Empty when the sum does not fit 64 bits.
    [[nodiscard]] constexpr std::optional<Gpa> checked_add(std::uint64_t bytes) const noexcept {
        std::uint64_t sum = 0;
        if (__builtin_add_overflow(value_, bytes, &sum)) {
            return std::nullopt;
        }
        return Gpa{sum};
    }

    friend constexpr auto operator<=>(Gpa, Gpa) noexcept = default;

private:
    std::uint64_t value_ = 0;
};

}  // namespace shoal::machine
