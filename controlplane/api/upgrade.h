// Requests whose connection goes on in another protocol (RFC 9110, 7.8).
#pragma once

#include <string_view>

#include "controlplane/http/exchange.h"

namespace shoal::rest {

// Throws Problem 426 where the headers are not there; `what` is what needs them.
void expect_upgrade(const Request& request, std::string_view what, std::string_view protocol);

}  // namespace shoal::rest
