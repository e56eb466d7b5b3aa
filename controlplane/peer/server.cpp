// A connection counts from its first byte on, not from when it has shown a certificate.
#include "controlplane/peer/server.h"

#include <openssl/ssl.h>

#include <boost/asio/ip/address.hpp>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "controlplane/peer/socket_options.h"
#include "controlplane/pki/authority.h"

namespace shoal::peer {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

Server::Server(asio::io_context& context, const std::string& address, std::uint16_t port, Tls tls,
               rest::Handle handle, IsMember is_member)
    : tls_{std::move(tls)},
      is_member_{std::move(is_member)},
      sessions_{std::move(handle), rest::PutBodies::in_pieces},
      listener_{context} {
    tcp::acceptor& acceptor = listener_.acceptor();
    try {
        const tcp::endpoint endpoint{asio::ip::make_address(address), port};
        acceptor.open(endpoint.protocol());
        acceptor.set_option(tcp::acceptor::reuse_address{true});
        acceptor.bind(endpoint);
        acceptor.listen();
    } catch (const boost::system::system_error& error) {
        throw std::runtime_error{"cannot listen at " + address + " port " + std::to_string(port) +
                                 ": " + error.code().message()};
    }
    std::ostringstream text;
    text << acceptor.local_endpoint();
    address_ = text.str();
}

void Server::start() {
    listener_.start([this](tcp::socket socket) { admit(std::move(socket)); });
}

// Of one without a certificate the handshake has decided.
bool Server::may_ask(rest::Stream& stream) const {
    const pki::Certificate shown{::SSL_get1_peer_certificate(stream.secure()->native_handle())};
    return !shown || is_member_(pki::subject_in(shown.get()).host);
}

void Server::admit(tcp::socket socket) {
    watch_connection(socket);
    const auto session = sessions_.add(rest::Stream{std::move(socket), tls_.get()});
    auto* const secure = session->stream().secure();
    if (secure == nullptr) {
        return sessions_.begin(*session);
    }
    session->stream().expires_after(handshake_timeout);
    secure->async_handshake(asio::ssl::stream_base::server, [this, session](error_code error) {
        if (error == asio::error::operation_aborted) {
            return;  // this may be gone
        }
        error || !may_ask(session->stream()) ? session->close() : sessions_.begin(*session);
    });
}

}  // namespace shoal::peer
