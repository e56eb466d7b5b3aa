// /v1/microvms/NAME/exec: a command in a microVM, beside its program.
#pragma once

#include <boost/asio/io_context.hpp>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"

namespace shoal::rest {

// Adds the route. Borrows both.
void add_exec(Api& api, Service& service, boost::asio::io_context& context);

}  // namespace shoal::rest
