// By OpenSSL, which knows the CPU's instructions for it.
#include "controlplane/content/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace shoal::content {
namespace {

constexpr std::string_view digits = "0123456789abcdef";
constexpr std::size_t digest_digits = 64;

void check(int result) {
    if (result != 1) {
        throw std::runtime_error{"OpenSSL cannot compute a SHA-256"};
    }
}

}  // namespace

void Sha256::Free::operator()(EVP_MD_CTX* context) const noexcept {
    ::EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_{::EVP_MD_CTX_new()} {
    check(context_ ? ::EVP_DigestInit_ex(context_.get(), ::EVP_sha256(), nullptr) : 0);
}

void Sha256::add(std::string_view bytes) {
    check(::EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

std::string Sha256::finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    check(::EVP_DigestFinal_ex(context_.get(), digest.data(), &size));
    return to_hex(std::span{digest}.first(size));
}

std::string to_hex(std::span<const unsigned char> bytes) {
    std::string text;
    for (const unsigned char byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

bool is_digest(std::string_view text) noexcept {
    return text.size() == digest_digits && std::ranges::all_of(text, [](char byte) {
               return digits.find(byte) != std::string_view::npos;
           });
}

}  // namespace shoal::content
