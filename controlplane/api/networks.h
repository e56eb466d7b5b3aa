// /v1/networks: create, get, list, delete.
#pragma once

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"

namespace shoal::rest {

// Adds the routes. Borrows the service.
void add_networks(Api& api, Service& service);

}  // namespace shoal::rest
