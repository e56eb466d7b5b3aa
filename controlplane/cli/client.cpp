// Boost.Beast's parser over a plain socket.
#include "controlplane/cli/client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json/parse.hpp>
#include <cerrno>
#include <cstring>

#include "controlplane/cli/cli_error.h"

namespace shoal::cli {
namespace {

namespace http = boost::beast::http;
namespace json = boost::json;
using Parser = http::response_parser<http::string_body>;

// A page of a list has 1000 objects of at most 512 KiB each; most have one.
constexpr std::uint64_t max_body_bytes = std::uint64_t{600} << 20;

std::string to_wire(const Call& call, const std::string& connection = "close") {
    std::string text = call.method + " " + call.target + " HTTP/1.1\r\nHost: shoald\r\n" +
                       "Content-Type: application/json\r\nConnection: " + connection + "\r\n";
    if (!call.if_match.empty()) {
        text += "If-Match: \"" + call.if_match + "\"\r\n";
    }
    return text + "Content-Length: " + std::to_string(call.body.size()) + "\r\n\r\n" + call.body;
}

void send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return;  // The answer says why.
        }
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

// Hands each part of the body over as soon as it is there.
class Answer {
public:
    explicit Answer(Client::Piece piece) : piece_{std::move(piece)} {
        parser_.eager(true);
        parser_.body_limit(boost::none);
    }

    // Throws CliError when it is cut off or no HTTP.
    void read(int fd) {
        std::array<char, 65536> bytes;
        while (!parser_.is_done()) {
            const ssize_t count = ::recv(fd, bytes.data(), bytes.size(), 0);
            if (count < 0 && errno == EINTR) {
                continue;
            }
            boost::beast::error_code error;
            if (count > 0) {
                put({bytes.data(), static_cast<std::size_t>(count)}, error);
            } else if (parser_.got_some()) {
                parser_.put_eof(error);
            } else {
                error = http::error::end_of_stream;
            }
            if (error) {
                throw CliError("shoald's answer was cut off: " + error.message());
            }
        }
    }
    [[nodiscard]] unsigned status() const { return parser_.get().result_int(); }
    // What came behind it.
    [[nodiscard]] const std::string& rest() const noexcept { return unread_; }

private:
    void put(std::string_view bytes, boost::beast::error_code& error) {
        unread_.append(bytes);
        while (!unread_.empty() && !parser_.is_done()) {
            const std::size_t used =
                parser_.put(boost::asio::buffer(unread_.data(), unread_.size()), error);
            unread_.erase(0, used);
            if (error == http::error::need_more) {
                error = {};
                break;
            }
            if (error) {
                return;
            }
        }
        if (parser_.is_header_done() && !parser_.get().body().empty()) {
            piece_(parser_.get().body());
            parser_.get().body().clear();
        }
    }

    Client::Piece piece_;
    Parser parser_;
    std::string unread_;
};

// The sentence of a problem (RFC 9457), or what came instead.
std::string detail_of(const std::string& body) {
    json::error_code error;
    const json::value document = json::parse(body, error);
    const json::value* detail =
        !error && document.is_object() ? document.get_object().if_contains("detail") : nullptr;
    return detail != nullptr && detail->is_string() ? std::string{detail->get_string()}
                                                    : body.substr(0, 200);
}

void expect_success(unsigned status, const std::string& body) {
    if (status < 200 || status >= 300) {
        throw CliError(detail_of(body), ExitCode::refused);
    }
}

}  // namespace

host::UniqueFd Client::connect() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_.size() >= sizeof address.sun_path) {
        throw CliError("the socket's path " + socket_ + " is too long");
    }
    socket_.copy(address.sun_path, socket_.size());
    host::UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    // SAFETY: the sockets' own way to pass an address.
    if (!fd ||
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
        const std::string why = std::strerror(errno);
        throw CliError("there is no shoald at " + socket_ + " (" + why +
                       "): start it, or name its socket by --socket");
    }
    return fd;
}

Reply Client::call(const Call& call) const {
    Reply reply;
    Answer answer{[&reply](std::string_view piece) {
        if (reply.body.size() + piece.size() > max_body_bytes) {
            throw CliError("shoald's answer has more than " + std::to_string(max_body_bytes) +
                           " bytes");
        }
        reply.body.append(piece);
    }};
    const host::UniqueFd fd = connect();
    send_all(fd.get(), to_wire(call));
    answer.read(fd.get());
    reply.status = answer.status();
    expect_success(reply.status, reply.body);
    return reply;
}

void Client::stream(const Call& call, const Piece& piece) const {
    std::string problem;
    Answer* seen = nullptr;
    Answer answer{[&](std::string_view bytes) {
        if (seen->status() == 200) {
            piece(bytes);
        } else {
            problem.append(bytes);
        }
    }};
    seen = &answer;
    const host::UniqueFd fd = connect();
    send_all(fd.get(), to_wire(call));
    answer.read(fd.get());
    expect_success(answer.status(), problem);
}

Upgraded Client::upgrade(const Call& call, std::string_view protocol) const {
    std::string problem;
    Answer answer{[&problem](std::string_view bytes) { problem.append(bytes); }};
    host::UniqueFd fd = connect();
    send_all(fd.get(), to_wire(call, "Upgrade\r\nUpgrade: " + std::string{protocol}));
    answer.read(fd.get());
    if (answer.status() == 101) {
        return {std::move(fd), answer.rest()};
    }
    expect_success(answer.status(), problem);
    throw CliError("shoald does not know " + std::string{protocol});
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;
    for (const char byte : text) {
        const bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                              (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' ||
                              byte == '_';
        if (is_plain) {
            encoded += byte;
        } else {
            const auto number = static_cast<unsigned char>(byte);
            encoded += '%';
            encoded += digits[number >> 4];
            encoded += digits[number & 15];
        }
    }
    return encoded;
}

}  // namespace shoal::cli
