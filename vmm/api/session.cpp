// One request after the other.
#include "vmm/api/session.h"

#include <boost/asio/write.hpp>
#include <utility>

namespace shoal::api {

namespace asio = boost::asio;
using boost::system::error_code;

Session::Session(Socket socket, std::size_t max_body_bytes, Handler handler,
                 std::function<void()> closed)
    : socket_{std::move(socket)},
      parser_{max_body_bytes},
      handler_{std::move(handler)},
      closed_{std::move(closed)} {}

Session::~Session() {
    closed_();
}

void Session::close() noexcept {
    error_code ignored;
    socket_.close(ignored);
}

void Session::read() {
    socket_.async_read_some(asio::buffer(buffer_), [self = shared_from_this()](
                                                       const error_code& error, std::size_t count) {
        if (!error) {
            self->received_ = {self->buffer_.data(), count};
            self->proceed();
        }
    });
}

void Session::proceed() {
    switch (parser_.advance(received_)) {
        case RequestParser::Event::needs_more:
            return read();
        case RequestParser::Event::has_request:
            return write(to_wire(handler_(parser_.take_request())));
        case RequestParser::Event::wants_proceed:
            return write(to_wire(Response{Status::proceed, {}}));
        case RequestParser::Event::is_refused:
            return write(to_wire(make_http_error(parser_.error())));
    }
}

void Session::write(std::string bytes) {
    outgoing_ = std::move(bytes);
    asio::async_write(socket_, asio::buffer(outgoing_),
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                          if (!error) {
                              self->proceed();
                          }
                      });
}

}  // namespace shoal::api
