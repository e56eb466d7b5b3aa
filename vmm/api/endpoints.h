// The endpoints: method, path, the states in which they may be called, and who parses them.
#pragma once

#include <span>
#include <string_view>

#include "vmm/api/action.h"

namespace shoal::api {

enum class Allowed {
    always,
    before_start,
    after_start,    // running or paused
    decided_later,  // by the action: it depends on the body
};

struct Endpoint {
    Method method;
    // Tokens between slashes; a request's path starts with them. Of several, the longest counts.
    std::string_view path;
    Allowed allowed;
    ParsedRequest (*parse)(const Call& call);
    // Firecracker's name for its counters, "<name>_count" and "<name>_fails".
    std::string_view metric;
    // Whether a request without a body gets as far as parse().
    enum class Body { required, optional, none } body = Body::required;
};

[[nodiscard]] std::span<const Endpoint> endpoints();

// Throws Fault when the microVM is not in a state for it.
void check_state(Allowed allowed, vmm::MicrovmState state);
// The same for a microVM that is on its way to another process or to this one.
void check_while_migrating(const Endpoint& endpoint);

}  // namespace shoal::api
