// Routes as NETLINK_ROUTE tells them: an interface's own networks, and what lies behind its
// gateways.
#pragma once

#include <cstdint>

#include "guest/kernel/net/netlink_answers.h"
#include "guest/kernel/net/netlink_writer.h"

namespace shoal::guest {

// Adds a message for each route of the main table by this interface; of one family, or of both: 0.
void add_routes(NetlinkWriter& writer, const NetInterface& interface, std::uint8_t family);

}  // namespace shoal::guest
