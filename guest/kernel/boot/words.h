// The words of a command line, and the numbers in them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "guest/kernel/boot/command_line.h"

namespace shoal::guest {

// A word: KEY, or KEY=VALUE.
struct Word {
    std::string_view key{};
    std::optional<std::string_view> value{};
    std::string_view whole{};
};

// Splits a text as next_arg() of Linux does. Rewrites it, and gives words that point into it.
class WordReader {
public:
    explicit WordReader(std::span<char> text) noexcept : text_{text} {}

    std::optional<Word> next();

private:
    std::span<char> text_;
};

// <size>@<base>:<irq>[:<id>], or nothing if it is anything else, a number is too large, or the
// range wraps.
[[nodiscard]] std::optional<VirtioMmioWord> parse_virtio_mmio(std::string_view text);

}  // namespace shoal::guest
