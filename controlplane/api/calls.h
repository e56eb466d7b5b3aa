// /v1/microvms/NAME/call: one request to a port of a microVM's vsock device, and its reply.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"

namespace shoal::rest {

inline constexpr std::size_t max_reply_bytes = std::size_t{4} << 20;

// Adds the route. Borrows both.
void add_calls(Api& api, Service& service, boost::asio::io_context& context);

}  // namespace shoal::rest
