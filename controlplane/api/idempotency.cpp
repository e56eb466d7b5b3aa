// SHA-256, so that no two keys come to one name.
#include "controlplane/api/idempotency.h"

#include <openssl/sha.h>

#include <array>

#include "controlplane/api/problem.h"

namespace shoal::rest {

std::optional<std::string> idempotency_key(const Request& request) {
    const auto found = request.headers.find("idempotency-key");
    if (found == request.headers.end()) {
        return std::nullopt;
    }
    if (found->second.empty() || found->second.size() > max_idempotency_key_bytes) {
        throw Problem{400, "Idempotency-Key has " + std::to_string(found->second.size()) +
                               " bytes: 1 to " + std::to_string(max_idempotency_key_bytes) +
                               " are allowed"};
    }
    return found->second;
}

std::string name_of_key(const std::string& key) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    // SAFETY: chars seen as bytes.
    ::SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), digest.data());
    constexpr std::string_view digits = "0123456789abcdef";
    constexpr std::size_t used_bytes = 16;
    std::string name = "vm-";
    for (std::size_t at = 0; at < used_bytes; ++at) {
        name += digits[digest.at(at) >> 4];
        name += digits[digest.at(at) & 15];
    }
    return name;
}

}  // namespace shoal::rest
