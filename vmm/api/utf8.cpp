// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
#include "vmm/api/utf8.h"

#include <array>
#include <cstdint>

namespace shoal::api {
namespace {

// How many bytes the character at the start of `text` has; 0: there is none.
std::size_t character_bytes(std::string_view text) noexcept {
    constexpr std::array<std::uint32_t, 5> lowest{0, 0, 0x80, 0x800, 0x1'0000};
    const auto byte_at = [text](std::size_t idx) { return static_cast<unsigned char>(text[idx]); };
    const unsigned first = byte_at(0);
    const std::size_t size = first < 0x80           ? 1
                             : (first >> 5) == 0x06 ? 2
                             : (first >> 4) == 0x0E ? 3
                             : (first >> 3) == 0x1E ? 4
                                                    : 0;
    if (size < 2) {
        return size;
    }
    if (size > text.size()) {
        return 0;
    }
    std::uint32_t point = first & (0x7FU >> size);
    for (std::size_t idx = 1; idx < size; ++idx) {
        if ((byte_at(idx) & 0xC0U) != 0x80) {
            return 0;
        }
        point = point << 6 | (byte_at(idx) & 0x3FU);
    }
    const bool is_surrogate = point >= 0xD800 && point <= 0xDFFF;
    return point < lowest[size] || point > 0x10'FFFF || is_surrogate ? 0 : size;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const std::size_t size = character_bytes(text);
        if (size == 0) {
            return false;
        }
        text.remove_prefix(size);
    }
    return true;
}

std::string to_utf8(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const std::size_t size = character_bytes(text);
        result += size == 0 ? std::string_view{"\xEF\xBF\xBD"} : text.substr(0, size);
        text.remove_prefix(size == 0 ? 1 : size);
    }
    return result;
}

}  // namespace shoal::api
