// Server: where other hosts' shoalds ask this one.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "controlplane/http/listener.h"
#include "controlplane/http/session_set.h"
#include "controlplane/peer/tls.h"

namespace shoal::peer {

// From the connection to the end of TLS's handshake.
inline constexpr std::chrono::seconds handshake_timeout{10};

// Whether a host that has shown its certificate is let in.
using IsMember = std::function<bool(const std::string& host)>;

class Server {
public:
    // Listens at this IP address; port 0: any. Borrows the context; `handle` answers requests, of
    // which PUT comes in pieces. Throws std::runtime_error with one sentence.
    Server(
        boost::asio::io_context& context, const std::string& address, std::uint16_t port, Tls tls,
        rest::Handle handle, IsMember is_member = [](const std::string&) { return true; });
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() = default;

    // ADDRESS:PORT, an IPv6 address in brackets.
    [[nodiscard]] const std::string& address() const noexcept { return address_; }
    // From now on it answers.
    void start();

private:
    void admit(boost::asio::ip::tcp::socket socket);

    [[nodiscard]] bool may_ask(rest::Stream& stream) const;

    Tls tls_;
    IsMember is_member_;
    std::string address_;
    rest::SessionSet sessions_;
    rest::Listener<boost::asio::ip::tcp> listener_;
};

}  // namespace shoal::peer
