// Idempotency keys: a request that is repeated with the same Idempotency-Key, because its answer
// was lost, gets the answer of the first. Nothing is kept for that: the key decides the generated
// name, and what is there already must be what is asked for.
#pragma once

#include <optional>
#include <string>

#include "controlplane/http/exchange.h"

namespace shoal::rest {

inline constexpr std::size_t max_idempotency_key_bytes = 255;

// The header's value, if there is one. Throws Problem when it is empty or too long.
[[nodiscard]] std::optional<std::string> idempotency_key(const Request& request);

// The name of the microVM that is created without a name under this key.
[[nodiscard]] std::string name_of_key(const std::string& key);

}  // namespace shoal::rest
