// Text: text under construction, for the files of /proc.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace shoal::guest {

class Text {
public:
    // Appends to `to`, which it borrows.
    explicit Text(std::vector<char>& to) noexcept : to_{to} {}

    Text& add(std::string_view text);
    Text& add_number(std::uint64_t number);
    // At least so many digits.
    Text& add_hex(std::uint64_t number, unsigned digits = 1);
    // number / 10^decimals.
    Text& add_fixed(std::uint64_t number, unsigned decimals);

private:
    void add_digits(std::uint64_t number, unsigned base, unsigned digits);

    std::vector<char>& to_;
};

}  // namespace shoal::guest
