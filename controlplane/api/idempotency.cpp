// SHA-256, so that no two keys come to one name.
#include "controlplane/api/idempotency.h"

#include "controlplane/content/sha256.h"
#include "controlplane/http/problem.h"

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
    constexpr std::size_t used_digits = 32;
    content::Sha256 sha;
    sha.add(key);
    return "vm-" + sha.finish().substr(0, used_digits);
}

}  // namespace shoal::rest
