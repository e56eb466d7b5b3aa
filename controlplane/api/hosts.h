// /v1/hosts: what each host has to give, what is given, whether it lives, and whether it takes
// more. /v1/host: the one that answers.
#pragma once

#include <string>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"

namespace shoal::rest {

// Adds the routes. `self`: this host's name.
void add_hosts(Api& api, Service& service, const std::string& self);

}  // namespace shoal::rest
