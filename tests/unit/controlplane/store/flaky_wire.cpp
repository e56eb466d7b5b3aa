// Pieces as they are read: on loopback a small request or answer is one.
#include "tests/unit/controlplane/store/flaky_wire.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace shoal::store::test {

namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

void send(tcp::socket& socket, std::string_view bytes) {
    error_code gone;
    boost::asio::write(socket, boost::asio::buffer(bytes.data(), bytes.size()), gone);
}

}  // namespace

struct FlakyWire::Connection {
    explicit Connection(tcp::socket accepted)
        : client{std::move(accepted)}, server{client.get_executor()} {}

    void close() {
        error_code ignored;
        client.close(ignored);
        server.close(ignored);
    }

    tcp::socket client;
    tcp::socket server;
    std::array<char, 65536> request{};
    std::array<char, 65536> answer{};
    std::string held;
    bool was_held = false;  // what is answered though its client may have gone
};

FlakyWire::FlakyWire(boost::asio::io_context& context, const Endpoint& server)
    : server_{boost::asio::ip::make_address(server.host),
              static_cast<std::uint16_t>(std::stoi(server.port))},
      acceptor_{context, {boost::asio::ip::address_v4::loopback(), 0}} {
    accept();
}

FlakyWire::~FlakyWire() {
    for (const auto& connection : connections_) {
        connection->close();
    }
}

Endpoint FlakyWire::endpoint() const {
    return {"127.0.0.1", std::to_string(acceptor_.local_endpoint().port())};
}

void FlakyWire::accept() {
    acceptor_.async_accept([this](const error_code& error, tcp::socket client) {
        if (error) {
            return;  // The end.
        }
        const auto connection = std::make_shared<Connection>(std::move(client));
        error_code refused;
        connection->server.connect(server_, refused);
        connections_.push_back(connection);
        read_request(connection);
        read_answer(connection);
        accept();
    });
}

void FlakyWire::read_request(const std::shared_ptr<Connection>& connection) {
    connection->client.async_read_some(
        boost::asio::buffer(connection->request),
        [this, connection](const error_code& error, std::size_t size) {
            if (error == boost::asio::error::operation_aborted) {
                return;
            }
            if (!error) {
                take_request(*connection, size);
                return read_request(connection);
            }
            if (!connection->was_held) {  // Nothing that is still on its way.
                connection->close();
            }
        });
}

void FlakyWire::take_request(Connection& connection, std::size_t size) {
    const std::string_view bytes{connection.request.data(), size};
    ++request_count_;
    switch (requests_) {
        case Requests::pass:
            return send(connection.server, bytes);
        case Requests::held:
            connection.held += bytes;
            connection.was_held = true;
            return;
        case Requests::lost:
            return;
    }
}

void FlakyWire::release() {
    requests_ = Requests::pass;
    for (const auto& connection : connections_) {
        send(connection->server, std::exchange(connection->held, {}));
    }
}

void FlakyWire::read_answer(const std::shared_ptr<Connection>& connection) {
    connection->server.async_read_some(
        boost::asio::buffer(connection->answer),
        [this, connection](const error_code& error, std::size_t size) {
            if (error == boost::asio::error::operation_aborted) {
                return;
            }
            answer_count_ += error ? 0U : 1U;
            if (error || loses_()) {
                return connection->close();
            }
            send(connection->client, {connection->answer.data(), size});
            read_answer(connection);
        });
}

}  // namespace shoal::store::test
