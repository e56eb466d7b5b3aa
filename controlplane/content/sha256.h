// Sha256: the digest by which content is named.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace shoal::content {

class Sha256 {
public:
    // Throws std::runtime_error, as all of it.
    Sha256();
    void add(std::string_view bytes);
    // 64 hexadecimal digits. Nothing may be added afterwards.
    [[nodiscard]] std::string finish();

private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const noexcept;
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

// In hexadecimal digits.
[[nodiscard]] std::string to_hex(std::span<const unsigned char> bytes);

// Whether it is written as one.
[[nodiscard]] bool is_digest(std::string_view text) noexcept;

}  // namespace shoal::content
