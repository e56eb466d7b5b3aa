// Words and numbers.
#include "guest/kernel/boot/words.h"

#include <cstring>

namespace shoal::guest {
namespace {

bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// A number in C's notation, with K, M or G behind it if `suffix` allows. Takes it off the text.
enum class Suffix { refused, allowed };
std::optional<std::uint64_t> take_number(std::string_view& text, Suffix suffix) {
    std::uint64_t base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    }
    std::uint64_t value = 0;
    std::size_t digits = 0;
    for (; digits < text.size(); ++digits) {
        const char c = static_cast<char>(text[digits] | 0x20);
        const bool is_letter = base == 16 && c >= 'a' && c <= 'f';
        if (!is_letter && (text[digits] < '0' || text[digits] > '9')) {
            break;
        }
        const auto digit = static_cast<std::uint64_t>(is_letter ? c - 'a' + 10 : c - '0');
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return std::nullopt;
        }
    }
    if (digits == 0) {
        return std::nullopt;
    }
    text.remove_prefix(digits);
    constexpr std::string_view units = "kmg";
    if (suffix == Suffix::allowed && !text.empty()) {
        const std::size_t unit = units.find(static_cast<char>(text.front() | 0x20));
        if (unit != std::string_view::npos) {
            text.remove_prefix(1);
            if (__builtin_mul_overflow(value, 1ULL << 10 * (unit + 1), &value)) {
                return std::nullopt;
            }
        }
    }
    return value;
}

bool take(std::string_view& text, char c) {
    if (text.empty() || text.front() != c) {
        return false;
    }
    text.remove_prefix(1);
    return true;
}

}  // namespace

// As next_arg() of lib/cmdline.c, which see for what quotes do: they may enclose a word or a value,
// and are kept elsewhere.
std::optional<Word> WordReader::next() {
    while (!text_.empty() && is_blank(text_.front())) {
        text_ = text_.subspan(1);
    }
    if (text_.empty()) {
        return std::nullopt;
    }
    const bool is_quoted = text_.front() == '"';
    bool in_quotes = is_quoted;
    if (is_quoted) {
        text_ = text_.subspan(1);
    }
    std::size_t end = 0;
    std::size_t equals = 0;
    for (; end < text_.size() && (in_quotes || !is_blank(text_[end])); ++end) {
        if (equals == 0 && text_[end] == '=') {
            equals = end;
        }
        if (text_[end] == '"') {
            in_quotes = !in_quotes;
        }
    }
    std::span<char> word = text_.first(end);
    text_ = text_.subspan(end);
    const bool has_quoted_value =
        equals != 0 && equals + 1 < word.size() && word[equals + 1] == '"';
    // A quote that opened the word or its value closes at the end.
    const bool is_value_closed = (is_quoted || has_quoted_value) && word.size() > equals + 2;
    const bool is_word_closed = is_quoted && equals == 0 && !word.empty();
    if ((is_value_closed || is_word_closed) && word.back() == '"') {
        word = word.first(word.size() - 1);
    }
    if (has_quoted_value) {
        // Close the gap, so that KEY=VALUE stays one piece.
        std::memmove(&word[equals + 1], &word[equals + 1] + 1, word.size() - equals - 2);
        word = word.first(word.size() - 1);
    }
    const std::string_view whole{word.data(), word.size()};
    if (equals == 0) {
        return Word{whole, std::nullopt, whole};
    }
    return Word{whole.substr(0, equals), whole.substr(equals + 1), whole};
}

// <size>@<base>:<irq>[:<id>]
std::optional<VirtioMmioWord> parse_virtio_mmio(std::string_view text) {
    constexpr std::uint64_t irq_max = 1023;
    const auto size = take_number(text, Suffix::allowed);
    if (!size || *size == 0 || !take(text, '@')) {
        return std::nullopt;
    }
    const auto base = take_number(text, Suffix::refused);
    if (!base || !take(text, ':')) {
        return std::nullopt;
    }
    const auto irq = take_number(text, Suffix::refused);
    std::uint64_t end = 0;
    if (!irq || *irq > irq_max || __builtin_add_overflow(*base, *size, &end)) {
        return std::nullopt;
    }
    if (take(text, ':') && !take_number(text, Suffix::refused)) {
        return std::nullopt;
    }
    if (!text.empty()) {
        return std::nullopt;
    }
    return VirtioMmioWord{*size, *base, static_cast<std::uint32_t>(*irq)};
}

}  // namespace shoal::guest
