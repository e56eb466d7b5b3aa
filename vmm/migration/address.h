// Address: where the other side of a migration is found: "unix:PATH" or "tcp:HOST:PORT".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "devices/host/unique_fd.h"

namespace shoal::migration {

struct Address {
    enum class Kind { unix_socket, tcp };
    Kind kind{};
    std::string host;  // the path of a unix socket; an IPv4 or IPv6 address in digits
    std::uint16_t port = 0;

    friend bool operator==(const Address&, const Address&) = default;
};

// Nothing: it is neither form. An IPv6 address stands in brackets.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);
[[nodiscard]] std::string to_text(const Address& address);

// Both sockets are non-blocking. Throw std::system_error and std::runtime_error with one sentence.
// The path of a listener must not exist. Port 0: any.
[[nodiscard]] host::UniqueFd listen_at(const Address& address);
// On its way: it is there, or has failed (SO_ERROR), once the socket is writable.
[[nodiscard]] host::UniqueFd start_connecting(const Address& address);
// Where a TCP listener listens; a unix socket's address as it was.
[[nodiscard]] Address bound_address(const Address& asked, int listener);

}  // namespace shoal::migration
