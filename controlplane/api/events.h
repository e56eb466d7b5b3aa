// /v1/events: everything that changes, as a stream of lines of JSON that can be resumed.
#pragma once

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"

namespace shoal::rest {

// Adds the route. Borrows the service.
void add_events(Api& api, Service& service);

}  // namespace shoal::rest
