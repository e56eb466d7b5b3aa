// /v1/host: this host, what it has to give and what is given.
#pragma once

#include <string>

#include "controlplane/api/api.h"
#include "controlplane/node/placer.h"

namespace shoal::rest {

// Adds the route. Borrows the placer.
void add_host(Api& api, const std::string& name, const node::Placer& placer);

}  // namespace shoal::rest
