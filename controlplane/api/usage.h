// /v1/usage: what microVMs use of this host, or those of another one, which is asked, of that.
#pragma once

#include <string>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"

namespace shoal::rest {

// Adds the route. Borrows the service. `run_folder` has the attempts' folders.
void add_usage(Api& api, Service& service, const std::string& run_folder);

}  // namespace shoal::rest
