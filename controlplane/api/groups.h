// /v1/groups: create, apply, get, list, delete.
#pragma once

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"

namespace shoal::rest {

// Adds the routes. Borrows the service.
void add_groups(Api& api, Service& service);

}  // namespace shoal::rest
