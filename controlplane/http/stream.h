// Stream: a connection, whatever it is over (a unix socket, TCP, TLS), as Asio and Beast want one.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/container/static_vector.hpp>
#include <chrono>
#include <functional>
#include <utility>
#include <variant>

namespace shoal::rest {

// Its operations need it until they have ended.
class Stream {
public:
    using Local = boost::beast::basic_stream<boost::asio::local::stream_protocol>;
    using Plain = boost::beast::tcp_stream;
    using Secure = boost::beast::ssl_stream<boost::beast::tcp_stream>;
    using executor_type = boost::asio::any_io_executor;

    explicit Stream(Local::socket_type socket)
        : layers_{std::in_place_type<Local>, std::move(socket)} {}
    // With `tls`, which is borrowed, it is of no use before its handshake.
    Stream(Plain::socket_type socket, boost::asio::ssl::context* tls)
        : layers_{tls == nullptr ? Layers{std::in_place_type<Plain>, std::move(socket)}
                                 : Layers{std::in_place_type<Secure>, std::move(socket), *tls}} {}

    [[nodiscard]] executor_type get_executor() noexcept {
        return std::visit([](auto& layer) -> executor_type { return layer.get_executor(); },
                          layers_);
    }
    template <typename Buffers, typename Handler>
    void async_read_some(const Buffers& buffers, Handler&& handler) {
        read_some(first_of<boost::asio::mutable_buffer>(buffers), std::forward<Handler>(handler));
    }
    template <typename Buffers, typename Handler>
    void async_write_some(const Buffers& buffers, Handler&& handler) {
        write_some(first_of<boost::asio::const_buffer>(buffers), std::forward<Handler>(handler));
    }

    // Null: it is not over TLS, or not over TCP.
    [[nodiscard]] Secure* secure() noexcept { return std::get_if<Secure>(&layers_); }
    [[nodiscard]] Plain* tcp() noexcept {
        Secure* const over_tls = secure();
        return over_tls != nullptr ? &over_tls->next_layer() : std::get_if<Plain>(&layers_);
    }

    // What is under way from now on fails when it takes longer.
    void expires_after(std::chrono::steady_clock::duration duration) {
        with_socket([duration](auto& stream) { stream.expires_after(duration); });
    }
    void expires_never() {
        with_socket([](auto& stream) { stream.expires_never(); });
    }
    // The other side reads the end. Nothing may be written any more.
    void shutdown_send() noexcept {
        with_socket([](auto& stream) {
            boost::system::error_code ignored;
            stream.socket().shutdown(boost::asio::socket_base::shutdown_send, ignored);
        });
    }
    void close() noexcept {
        with_socket([](auto& stream) { stream.close(); });
    }

private:
    using Layers = std::variant<Local, Plain, Secure>;
    // "Some" may be fewer than there are.
    static constexpr std::size_t most_buffers = 16;
    template <typename Buffer>
    using Buffers = boost::container::static_vector<Buffer, most_buffers>;
    using Done = std::move_only_function<void(boost::system::error_code, std::size_t)>;

    template <typename Buffer, typename Sequence>
    [[nodiscard]] static Buffers<Buffer> first_of(const Sequence& sequence) {
        Buffers<Buffer> first;
        for (const Buffer buffer : boost::beast::buffers_range_ref(sequence)) {
            if (first.size() == most_buffers) {
                break;
            }
            first.push_back(buffer);
        }
        return first;
    }
    // Compiled once for all kinds of handlers: Asio's code for TLS is large.
    void read_some(const Buffers<boost::asio::mutable_buffer>& buffers, Done done);
    void write_some(const Buffers<boost::asio::const_buffer>& buffers, Done done);

    template <typename Action>
    void with_socket(const Action& action) {
        if (Plain* const over_tcp = tcp(); over_tcp != nullptr) {
            return action(*over_tcp);
        }
        action(*std::get_if<Local>(&layers_));
    }

    Layers layers_;
};

}  // namespace shoal::rest
