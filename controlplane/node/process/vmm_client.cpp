// A connection for each request: there are few, and a VMM has no other client.
#include "controlplane/node/process/vmm_client.h"

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <memory>
#include <utility>

namespace shoal::node {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using boost::asio::local::stream_protocol;
using boost::system::error_code;

constexpr std::chrono::seconds time_limit{5};
constexpr std::size_t max_answer_bytes = std::size_t{1} << 20;

class Exchange : public std::enable_shared_from_this<Exchange> {
public:
    Exchange(boost::asio::io_context& context, VmmRequest request, VmmClient::Handler handler,
             std::weak_ptr<bool> client)
        : stream_{context}, handler_{std::move(handler)}, client_{std::move(client)} {
        request_.method(http::string_to_verb(request.method));
        request_.target(request.target);
        request_.version(11);
        request_.set(http::field::host, "localhost");
        request_.set(http::field::connection, "close");
        if (!request.body.empty()) {
            request_.set(http::field::content_type, "application/json");
            request_.body() = std::move(request.body);
        }
        request_.prepare_payload();
        parser_.body_limit(max_answer_bytes);
    }

    void start(const std::string& socket) {
        stream_.expires_after(time_limit);
        stream_.async_connect(stream_protocol::endpoint{socket},
                              [self = shared_from_this()](error_code error) {
                                  error ? self->finish(false) : self->write();
                              });
    }

private:
    void write() {
        http::async_write(stream_, request_,
                          [self = shared_from_this()](error_code error, std::size_t) {
                              error ? self->finish(false) : self->read();
                          });
    }
    void read() {
        http::async_read(
            stream_, buffer_, parser_,
            [self = shared_from_this()](error_code error, std::size_t) { self->finish(!error); });
    }
    void finish(bool is_answered) {
        if (client_.expired()) {
            return;
        }
        if (!is_answered) {
            return handler_(std::nullopt);
        }
        handler_(VmmAnswer{parser_.get().result_int(), std::move(parser_.get().body())});
    }

    beast::basic_stream<stream_protocol> stream_;
    http::request<http::string_body> request_;
    http::response_parser<http::string_body> parser_;
    beast::flat_buffer buffer_;
    VmmClient::Handler handler_;
    std::weak_ptr<bool> client_;
};

}  // namespace

std::optional<json::object> object_in(const std::optional<VmmAnswer>& answer) {
    if (!answer) {
        return std::nullopt;
    }
    error_code error;
    json::value document = json::parse(answer->body, error);
    return error || !document.is_object() ? std::nullopt
                                          : std::optional{std::move(document.get_object())};
}

std::string text_in(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string{value->get_string()} : "";
}

void UnixVmmClient::call(const std::string& socket, VmmRequest request, Handler handler) {
    std::make_shared<Exchange>(context_, std::move(request), std::move(handler), is_alive_)
        ->start(socket);
}

}  // namespace shoal::node
