// What only a microVM's own host can answer is asked there.
#pragma once

#include <chrono>

#include "controlplane/api/service.h"

namespace shoal::rest {

// A number, in a request that is passed on: as far as its sender has seen the store. Who is asked
// looks only once it has seen as much.
inline constexpr const char* revision_header = "shoal-revision";

// Calls `handle`, at once or when this host has seen as much of the store as whoever passed the
// request on.
void when_up_to_date(Service& service, Request request, Respond respond, Handle handle);

// True: the microVM is on another host, which answers instead, within so long. False: it is here.
// Throws Problem 421 where there is no way to that host.
[[nodiscard]] bool pass_on(const Service& service, const node::MicroVm& microvm,
                           const Request& request, std::chrono::seconds patience, Respond& respond);

// That host answers, within so long. Throws Problem 404 or 421 where there is no such host, or no
// way to it.
void pass_on_to(const Service& service, const std::string& host, const Request& request,
                std::chrono::seconds patience, Respond respond);

}  // namespace shoal::rest
