// /v1/projects: limits, and what they leave.
#pragma once

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"

namespace shoal::rest {

// Adds the routes. Borrows the service.
void add_projects(Api& api, Service& service);

}  // namespace shoal::rest
