// Listener: accepts connections for as long as it lives.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <utility>

namespace shoal::rest {

// Protocol: of Asio's, as boost::asio::ip::tcp.
template <typename Protocol>
class Listener {
public:
    using Acceptor = typename Protocol::acceptor;
    using Accepted = std::function<void(typename Protocol::socket)>;

    explicit Listener(boost::asio::io_context& context) : acceptor_{context}, retry_{context} {}
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener() {
        boost::system::error_code ignored;
        acceptor_.close(ignored);
        retry_.cancel();
    }

    // To be bound and made to listen by the owner, before start().
    [[nodiscard]] Acceptor& acceptor() noexcept { return acceptor_; }
    void start(Accepted accepted) {
        accepted_ = std::move(accepted);
        accept();
    }

private:
    // How long not to accept after that failed: the process may be out of descriptors.
    static constexpr std::chrono::milliseconds pause{100};

    void accept() {
        acceptor_.async_accept(
            [this](const boost::system::error_code& error, typename Protocol::socket socket) {
                if (error == boost::asio::error::operation_aborted) {
                    return;  // this is gone
                }
                if (error) {
                    return accept_later();
                }
                accepted_(std::move(socket));
                accept();
            });
    }
    void accept_later() {
        retry_.expires_after(pause);
        retry_.async_wait([this](const boost::system::error_code& error) {
            if (!error) {
                accept();
            }
        });
    }

    Acceptor acceptor_;
    boost::asio::steady_timer retry_;
    Accepted accepted_;
};

}  // namespace shoal::rest
