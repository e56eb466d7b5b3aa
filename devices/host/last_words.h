// LastWords: one sentence on stderr from a signal handler. Async-signal-safe: no heap, no locale.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace shoal::host {

class LastWords {
public:
    // What does not fit is left out.
    void add(std::string_view text) noexcept {
        const auto piece = text.substr(0, bytes_.size() - size_);
        std::ranges::copy(piece, bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
        size_ += piece.size();
    }
    void add_number(std::uint64_t number, int base = 10) noexcept {
        std::array<char, 64> digits{};
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base);
        add({digits.data(), end.ptr});
    }
    void say() const noexcept {
        static_cast<void>(::write(STDERR_FILENO, bytes_.data(), size_) < 0);  // nobody is left
    }

private:
    std::array<char, 192> bytes_{};
    std::size_t size_ = 0;
};

}  // namespace shoal::host
