// What only a microVM's own host can answer is asked there.
#pragma once

#include <chrono>

#include "controlplane/api/service.h"

namespace shoal::rest {

// True: the microVM is on another host, which answers instead, within so long. False: it is here.
// Throws Problem 421 where there is no way to that host.
[[nodiscard]] bool pass_on(const Service& service, const node::MicroVm& microvm,
                           const Request& request, std::chrono::seconds patience, Respond& respond);

}  // namespace shoal::rest
