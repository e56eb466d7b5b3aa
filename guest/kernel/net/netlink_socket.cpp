// Requests in, answers out.
#include "guest/kernel/net/netlink_socket.h"

#include <algorithm>
#include <array>

#include "guest/kernel/net/netlink_answers.h"

namespace shoal::guest {
namespace {

constexpr std::uint32_t protocol_route = 0;   // NETLINK_ROUTE
constexpr std::uint32_t netlink_level = 270;  // SOL_NETLINK
constexpr std::uint32_t socket_level = 1;     // SOL_SOCKET
constexpr std::uint32_t send_buffer = 7;      // SO_SNDBUF
constexpr std::uint32_t receive_buffer = 8;   // SO_RCVBUF

// struct sockaddr_nl.
struct NetlinkAddress {
    std::uint16_t family = address_family::netlink;
    std::uint16_t padding = 0;
    std::uint32_t port = 0;  // 0: the kernel
    std::uint32_t groups = 0;
};
static_assert(sizeof(NetlinkAddress) == 12);

Result<NetlinkAddress> parse(const SocketAddress& address) {
    const auto parsed = address.as<NetlinkAddress>();
    const bool is_sound = address.size >= sizeof parsed && parsed.family == address_family::netlink;
    return is_sound ? Result<NetlinkAddress>{parsed} : fail(Errno::inval);
}

}  // namespace

Result<SocketRef> NetlinkSocket::make(FileSystem& file_system, const SocketKind& kind) {
    if (kind.type != SocketType::raw && kind.type != SocketType::datagram) {
        return fail(Errno::socktnosupport);
    }
    if (kind.protocol != protocol_route) {
        return fail(Errno::protonosupport);
    }
    // Linux gives the process's number to its first socket, and others to the rest.
    static constinit std::uint32_t next_port = 0;
    const auto made = file_system.make_inode<NetlinkSocket>(kind.type, ++next_port);
    return made ? Result<SocketRef>{made} : fail(Errno::nomem);
}

Result<void> NetlinkSocket::bind(const SocketAddress& address) {
    const auto parsed = parse(address);
    if (!parsed) {
        return fail(parsed.error());
    }
    if (parsed->port != 0) {
        port_ = parsed->port;
    }
    return {};
}

Result<void> NetlinkSocket::connect(const SocketAddress& address) {
    const auto parsed = parse(address);
    if (!parsed) {
        return fail(parsed.error());
    }
    return parsed->port == 0 ? Result<void>{} : fail(Errno::connrefused);
}

Result<SocketAddress> NetlinkSocket::local_address() const {
    NetlinkAddress address;
    address.port = port_;
    return SocketAddress::of(address);
}

Result<std::size_t> NetlinkSocket::send(OutgoingMessage& message) {
    if (message.to != nullptr) {
        if (const auto connected = connect(*message.to); !connected) {
            return fail(connected.error());
        }
    }
    if (message.size > request_bytes_max) {
        return fail(Errno::msgsize);
    }
    std::vector<std::byte> requests(message.size);
    if (!message.data.get(requests)) {
        return fail(Errno::fault);
    }
    auto answers = answer_netlink(requests, network_interfaces(), port_);
    if (answers.size() > answers_max - std::min(answers_max, answers_.size())) {
        return fail(Errno::nobufs);
    }
    std::ranges::move(answers, std::back_inserter(answers_));
    waiters().wake_all();
    return message.size;
}

Result<std::size_t> NetlinkSocket::receive(IncomingMessage& message) {
    if (answers_.empty()) {
        return fail(Errno::again);
    }
    const std::span<const std::byte> answer{answers_.front()};
    const std::size_t taken = std::min(answer.size(), message.size);
    if (!message.data.put(answer.first(taken))) {
        return fail(Errno::fault);
    }
    message.from = SocketAddress::of(NetlinkAddress{});
    const bool is_cut = taken < answer.size();
    message.result_flags |= is_cut ? message_flags::truncated : 0;
    const std::size_t size =
        (message.flags & message_flags::truncated) != 0 ? answer.size() : taken;
    if ((message.flags & message_flags::peek) == 0) {
        answers_.pop_front();
    }
    return size;
}

// Nothing is told to groups, buffers have their limit, and the rest says how strict or how
// talkative answers are.
Result<void> NetlinkSocket::set_option(SocketOption option, std::span<const std::byte>) {
    const bool is_buffer = option.level == socket_level &&
                           (option.name == send_buffer || option.name == receive_buffer);
    return is_buffer || option.level == netlink_level ? Result<void>{} : fail(Errno::noprotoopt);
}

Readiness NetlinkSocket::readiness(const OpenFile&) const {
    Readiness ready;
    ready.readable = answers_.empty() ? Readiness::Is::no : Readiness::Is::yes;
    ready.writable = Readiness::Is::yes;
    return ready;
}

}  // namespace shoal::guest
