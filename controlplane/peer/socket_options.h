// What connections between hosts have in common.
#pragma once

#include <boost/asio/ip/tcp.hpp>

namespace shoal::peer {

// A host that is gone is noticed within seconds, also while nothing is said. No delay for small
// pieces.
void watch_connection(boost::asio::ip::tcp::socket& socket);

}  // namespace shoal::peer
