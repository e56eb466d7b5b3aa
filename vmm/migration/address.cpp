// Addresses to sockets.
#include "vmm/migration/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>
#include <stdexcept>

#include "devices/host/os_error.h"

namespace shoal::migration {
namespace {

// One migration, and strangers that are hung up on.
constexpr int backlog = 16;

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size_bytes = 0;

    // SAFETY: the sockets API takes every family's address through this type.
    sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
};

template <typename Family>
SocketAddress wrap(const Family& address) {
    SocketAddress result;
    std::memcpy(&result.storage, &address, sizeof address);
    result.size_bytes = sizeof address;
    return result;
}

SocketAddress unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        throw std::runtime_error("the path of a unix socket has at most " +
                                 std::to_string(sizeof address.sun_path - 1) + " bytes: " + path);
    }
    path.copy(address.sun_path, path.size());
    return wrap(address);
}

SocketAddress tcp_address(const Address& address) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    if (::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) {
        return wrap(v4);
    }
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    if (::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr) == 1) {
        return wrap(v6);
    }
    throw std::runtime_error(address.host + " is no IPv4 or IPv6 address");
}

SocketAddress socket_address(const Address& address) {
    return address.kind == Address::Kind::unix_socket ? unix_address(address.host)
                                                      : tcp_address(address);
}

host::UniqueFd make_socket(SocketAddress& address) {
    const int family = address.get()->sa_family;
    host::UniqueFd fd{
        host::check_os(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")};
    if (family != AF_UNIX) {
        const int on = 1;
        ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    return fd;
}

std::optional<Address> parse_tcp(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view host = text.substr(0, colon);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
        return std::nullopt;
    }
    if (host.find_first_of("[]") != std::string_view::npos) {
        return std::nullopt;
    }
    Address address{Address::Kind::tcp, std::string{host}, 0};
    const std::string_view port = text.substr(colon + 1);
    const char* const end = port.data() + port.size();
    const auto parsed = std::from_chars(port.data(), end, address.port);
    if (host.empty() || port.empty() || parsed.ec != std::errc{} || parsed.ptr != end) {
        return std::nullopt;
    }
    return address;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
    constexpr std::string_view unix_scheme = "unix:";
    constexpr std::string_view tcp_scheme = "tcp:";
    if (text.find('\0') != std::string_view::npos) {
        return std::nullopt;
    }
    if (text.starts_with(unix_scheme) && text.size() > unix_scheme.size()) {
        return Address{Address::Kind::unix_socket, std::string{text.substr(unix_scheme.size())}, 0};
    }
    if (text.starts_with(tcp_scheme)) {
        return parse_tcp(text.substr(tcp_scheme.size()));
    }
    return std::nullopt;
}

std::string to_text(const Address& address) {
    if (address.kind == Address::Kind::unix_socket) {
        return "unix:" + address.host;
    }
    const bool is_v6 = address.host.find(':') != std::string::npos;
    return "tcp:" + (is_v6 ? "[" + address.host + "]" : address.host) + ":" +
           std::to_string(address.port);
}

host::UniqueFd listen_at(const Address& address) {
    SocketAddress at = socket_address(address);
    host::UniqueFd fd = make_socket(at);
    if (::bind(fd.get(), at.get(), at.size_bytes) < 0 || ::listen(fd.get(), backlog) < 0) {
        host::throw_os_error("cannot listen at " + to_text(address));
    }
    return fd;
}

host::UniqueFd start_connecting(const Address& address) {
    SocketAddress at = socket_address(address);
    host::UniqueFd fd = make_socket(at);
    if (::connect(fd.get(), at.get(), at.size_bytes) < 0 && errno != EINPROGRESS) {
        host::throw_os_error("cannot connect to " + to_text(address));
    }
    return fd;
}

Address bound_address(const Address& asked, int listener) {
    if (asked.kind == Address::Kind::unix_socket) {
        return asked;
    }
    SocketAddress at;
    at.size_bytes = sizeof at.storage;
    host::check_os(::getsockname(listener, at.get(), &at.size_bytes), "getsockname");
    // SAFETY: both families have their port at the same place.
    return {asked.kind, asked.host, ntohs(reinterpret_cast<sockaddr_in*>(at.get())->sin_port)};
}

}  // namespace shoal::migration
