// ADDRESS:PORT, as hosts' records have it.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <string_view>

namespace shoal::peer {

// Of an IPv4 address, or an IPv6 address in brackets; nothing: it is none.
[[nodiscard]] std::optional<boost::asio::ip::tcp::endpoint> parse_endpoint(std::string_view text);

}  // namespace shoal::peer
