// /v1/microvms/NAME/logs: the output, from any offset, also while it comes.
#pragma once

#include <boost/asio/io_context.hpp>
#include <string>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"

namespace shoal::rest {

struct LogService {
    boost::asio::io_context& context;
    Service& service;
    std::string folder;  // of NAME.log
};

// Adds the route. Borrows the service.
void add_logs(Api& api, LogService& service);

}  // namespace shoal::rest
