// Client: asks other hosts' shoalds.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <string>

#include "controlplane/http/exchange.h"
#include "controlplane/peer/tls.h"

namespace shoal::peer {

// Until a host takes a connection, with TLS's handshake.
inline constexpr std::chrono::seconds connect_timeout{5};
// An answer whose length is known and up to this is handed over whole.
inline constexpr std::uint64_t max_whole_answer_bytes = std::uint64_t{5} << 20;

struct Peer {
    std::string host;     // its name, which its certificate must have
    std::string address;  // ADDRESS:PORT, as its record has it (model/host.h)
};

struct Patience {
    // Until the answer begins, from when the request is sent whole.
    std::chrono::seconds answer{60};
    // Until the answer's next piece; 0: for as long as the host lives.
    std::chrono::seconds piece{60};
};

class Client {
public:
    // Borrows the context.
    Client(boost::asio::io_context& context, Tls tls) : context_{context}, tls_{std::move(tls)} {}

    // Sends a request, whose body may come in pieces. The answer of the host, or a problem that
    // says why there is none (502, 504). Pieces of a long answer come from its source; where the
    // host dies meanwhile, that fails. A request is sent once.
    void send(const Peer& peer, const rest::Request& request, Patience patience,
              rest::Respond respond);

private:
    boost::asio::io_context& context_;
    Tls tls_;
};

}  // namespace shoal::peer
