// /v1/microvms: stop and delete.
#pragma once

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"

namespace shoal::rest {

// Adds the routes. Borrows the service.
void add_microvm_ends(Api& api, Service& service);

}  // namespace shoal::rest
