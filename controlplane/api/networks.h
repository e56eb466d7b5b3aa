// /v1/networks: create, get, list, delete.
#pragma once

#include <functional>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"

namespace shoal::rest {

// Adds the routes. Borrows the service. `on_deleted` is called after a network is gone.
void add_networks(Api& api, Service& service, std::function<void()> on_deleted);

}  // namespace shoal::rest
