// Firecracker's way to a guest's port: "CONNECT <port>\n" and "OK <port>\n" on a unix socket.
#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "controlplane/node/mirror/mirror.h"

namespace shoal::rest {

// Of its vsock device here. Throws Problem 409 where it has none or does not run.
[[nodiscard]] std::string vsock_path_of(const node::MicroVm& microvm);

using GuestSocket = boost::asio::local::stream_protocol::socket;

struct GuestAnswer {
    std::string failure;  // a sentence; empty: the guest has taken the connection
    std::string early;    // the guest's first bytes, if they have come already
};
using OnGuestAnswer = std::move_only_function<void(GuestAnswer)>;

// Called once, on the loop's thread, also when the socket is closed meanwhile. `owner` has the
// socket, and lives until then.
void connect_to_guest(std::shared_ptr<void> owner, GuestSocket& socket, const std::string& path,
                      std::uint64_t port, OnGuestAnswer on_answer);

}  // namespace shoal::rest
