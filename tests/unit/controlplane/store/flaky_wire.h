// FlakyWire: a TCP proxy in front of one server, which loses or holds back what a test wants.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/store/http_connection.h"

namespace shoal::store::test {

// Lives in the loop's thread, no longer than the loop.
class FlakyWire {
public:
    enum class Requests { pass, held, lost };

    FlakyWire(boost::asio::io_context& context, const Endpoint& server);
    FlakyWire(const FlakyWire&) = delete;
    FlakyWire& operator=(const FlakyWire&) = delete;
    ~FlakyWire();

    [[nodiscard]] Endpoint endpoint() const;

    // What becomes of requests from now on.
    void set(Requests requests) noexcept { requests_ = requests; }
    // Sends on what is held, also for clients that have gone.
    void release();
    // Asked at each answer; true: it is lost, and so is its connection.
    void lose_answers_if(std::function<bool()> loses) { loses_ = std::move(loses); }

    [[nodiscard]] std::size_t requests() const noexcept { return request_count_; }
    [[nodiscard]] std::size_t answers() const noexcept { return answer_count_; }

private:
    struct Connection;

    void accept();
    void read_request(const std::shared_ptr<Connection>& connection);
    void read_answer(const std::shared_ptr<Connection>& connection);
    void take_request(Connection& connection, std::size_t size);

    boost::asio::ip::tcp::endpoint server_;
    boost::asio::ip::tcp::acceptor acceptor_;
    std::vector<std::shared_ptr<Connection>> connections_;
    Requests requests_ = Requests::pass;
    std::function<bool()> loses_ = [] { return false; };
    std::size_t request_count_ = 0;
    std::size_t answer_count_ = 0;
};

}  // namespace shoal::store::test
