// Text: numbers to digits.
#include "guest/kernel/fs/text.h"

#include <array>

namespace shoal::guest {

Text& Text::add(std::string_view text) {
    to_.insert(to_.end(), text.begin(), text.end());
    return *this;
}

void Text::add_digits(std::uint64_t number, unsigned base, unsigned digits) {
    std::array<char, 20> reversed;  // 2^64 - 1 has 20 decimal digits
    std::size_t count = 0;
    do {
        reversed[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number != 0);
    while (count < digits && count < reversed.size()) {
        reversed[count++] = '0';
    }
    while (count > 0) {
        to_.push_back(reversed[--count]);
    }
}

Text& Text::add_number(std::uint64_t number) {
    add_digits(number, 10, 1);
    return *this;
}

Text& Text::add_hex(std::uint64_t number, unsigned digits) {
    add_digits(number, 16, digits);
    return *this;
}

Text& Text::add_fixed(std::uint64_t number, unsigned decimals) {
    std::uint64_t scale = 1;
    for (unsigned i = 0; i < decimals; ++i) {
        scale *= 10;
    }
    add_digits(number / scale, 10, 1);
    to_.push_back('.');
    add_digits(number % scale, 10, decimals);
    return *this;
}

}  // namespace shoal::guest
