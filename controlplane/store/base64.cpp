// OpenSSL does the work; what it lets pass (blanks, padding within) is refused here.
#include "controlplane/store/base64.h"

#include <openssl/evp.h>

#include <algorithm>
#include <limits>

namespace shoal::store {

namespace {

constexpr std::size_t max_text_bytes = std::numeric_limits<int>::max() / 2;

bool is_digit(char c) noexcept {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

std::size_t padding_of(std::string_view text) noexcept {
    if (text.ends_with("==")) {
        return 2;
    }
    return text.ends_with('=') ? 1 : 0;
}

}  // namespace

std::string to_base64(std::string_view bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends it with a zero.
    // SAFETY: characters are encoded as the bytes they are.
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                    reinterpret_cast<const unsigned char*>(bytes.data()),
                    static_cast<int>(bytes.size()));
    text.pop_back();
    return text;
}

std::optional<std::string> from_base64(std::string_view text) {
    const std::size_t padding = padding_of(text);
    if (text.size() % 4 != 0 || text.size() > max_text_bytes ||
        !std::ranges::all_of(text.substr(0, text.size() - padding), is_digit)) {
        return std::nullopt;
    }
    std::string bytes(text.size() / 4 * 3, '\0');
    // SAFETY: as above, the other way round.
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
    if (size < 0 || static_cast<std::size_t>(size) != bytes.size()) {
        return std::nullopt;
    }
    bytes.resize(bytes.size() - padding);
    return bytes;
}

}  // namespace shoal::store
