// Names and states of vsock sockets; their bytes are in vsock_transfer.cpp.
#include "guest/kernel/net/vsock_socket.h"

#include <algorithm>

#include "guest/kernel/net/vsock_transport.h"

namespace shoal::guest {

using namespace abi::virtio::vsock;

namespace {

constexpr std::uint32_t socket_level = 1;  // SOL_SOCKET

}  // namespace

Result<SocketRef> VsockSocket::make(FileSystem& file_system, const SocketKind& kind) {
    if (kind.type != SocketType::stream) {
        return fail(Errno::socktnosupport);
    }
    if (kind.protocol != 0 && kind.protocol != address_family::vsock) {
        return fail(Errno::protonosupport);
    }
    const auto made = file_system.make_inode<VsockSocket>(file_system);
    return made ? Result<SocketRef>{made} : fail(Errno::nomem);
}

VsockSocket::~VsockSocket() {
    hang_up();
}

void VsockSocket::closed(OpenFile&) noexcept {
    hang_up();
}

// The host learns it, and the transport forgets the socket.
void VsockSocket::hang_up() noexcept {
    if (local_.port == VsockAddress::any) {
        return;
    }
    VsockTransport& transport = VsockTransport::instance();
    if (state_ == State::connected) {
        tell(Operation::shutdown, shutdown_flag::both);
        transport.linger(local_.port, peer_port_);
    } else if (state_ == State::connecting) {
        tell(Operation::rst);
    }
    state_ = State::ended;
    backlog_.clear();
    transport.remove(*this);
    transport.flush();
}

Result<void> VsockSocket::bind_to(std::uint32_t port) {
    VsockTransport& transport = VsockTransport::instance();
    const auto chosen = transport.choose_port(port);
    if (!chosen) {
        return fail(chosen.error());
    }
    if (!transport.add(*this)) {
        return fail(Errno::nobufs);
    }
    local_.port = *chosen;
    owns_port_ = true;
    return {};
}

Result<void> VsockSocket::bind(const SocketAddress& address) {
    const auto parsed = VsockAddress::parse(address);
    if (!parsed) {
        return fail(parsed.error());
    }
    if (local_.port != VsockAddress::any) {
        return fail(Errno::inval);
    }
    if (parsed->cid != VsockAddress::any && parsed->cid != VsockTransport::instance().guest_cid()) {
        return fail(Errno::addrnotavail);
    }
    const auto bound = bind_to(parsed->port);
    if (bound) {
        local_.cid = parsed->cid;
    }
    return bound;
}

Result<void> VsockSocket::listen(std::uint32_t backlog) {
    const bool may_listen = state_ == State::idle || state_ == State::listening;
    if (!may_listen || local_.port == VsockAddress::any) {
        return fail(Errno::inval);
    }
    backlog_limit_ = std::clamp<std::size_t>(backlog, 1, backlog_max);
    state_ = State::listening;
    return {};
}

Result<SocketRef> VsockSocket::accept(SocketAddress& peer) {
    if (state_ != State::listening) {
        return fail(Errno::inval);
    }
    if (backlog_.empty()) {
        VsockTransport::instance().poll();
    }
    if (backlog_.empty()) {
        return fail(Errno::again);
    }
    const Ref<VsockSocket> accepted = backlog_.front();
    backlog_.erase(backlog_.begin());
    peer = SocketAddress::of(VsockAddress{.port = accepted->peer_port_, .cid = VsockAddress::host});
    return SocketRef{accepted};
}

bool VsockSocket::on_request(const Header& request) {
    if (state_ != State::listening || backlog_.size() >= backlog_limit_) {
        return false;
    }
    const auto made = file_system_.make_inode<VsockSocket>(file_system_);
    if (!made || !VsockTransport::instance().add(*made)) {
        return false;
    }
    made->local_.port = request.dst_port;
    made->local_.cid = VsockTransport::instance().guest_cid();
    made->peer_port_ = request.src_port;
    made->state_ = State::connected;
    made->credit_.hear(request);
    made->tell(Operation::response);
    backlog_.push_back(made);
    waiters().wake_all();
    return true;
}

Result<void> VsockSocket::connect(const SocketAddress& address) {
    const auto parsed = VsockAddress::parse(address);
    if (!parsed) {
        return fail(parsed.error());
    }
    if (state_ != State::idle) {
        return fail(state_ == State::connecting  ? Errno::already
                    : state_ == State::connected ? Errno::isconn
                                                 : Errno::inval);
    }
    VsockTransport& transport = VsockTransport::instance();
    if (!transport.has_device() || parsed->cid != VsockAddress::host) {
        return fail(Errno::nodev);
    }
    if (local_.port == VsockAddress::any) {
        if (const auto bound = bind_to(VsockAddress::any); !bound) {
            return bound;
        }
    }
    local_.cid = transport.guest_cid();
    peer_port_ = parsed->port;
    state_ = State::connecting;
    tell(Operation::request);
    transport.flush();
    return fail(Errno::inprogress);
}

Result<void> VsockSocket::shutdown(Shutdown how) {
    if (state_ != State::connected && state_ != State::ended) {
        return fail(Errno::notconn);
    }
    shut_ |= how != Shutdown::write ? shutdown_flag::receive : 0;
    shut_ |= how != Shutdown::read ? shutdown_flag::send : 0;
    if (state_ == State::connected) {
        tell(Operation::shutdown, shut_);
        VsockTransport::instance().flush();
    }
    waiters().wake_all();
    return {};
}

Result<SocketAddress> VsockSocket::local_address() const {
    return SocketAddress::of(local_);
}

Result<SocketAddress> VsockSocket::peer_address() const {
    if (state_ != State::connected) {
        return fail(Errno::notconn);
    }
    return SocketAddress::of(VsockAddress{.port = peer_port_, .cid = VsockAddress::host});
}

// Those of all sockets mean nothing here: there are no addresses to reuse and no sizes to choose.
Result<void> VsockSocket::set_option(SocketOption option, std::span<const std::byte>) {
    return option.level == socket_level ? Result<void>{} : fail(Errno::noprotoopt);
}

Readiness VsockSocket::readiness(const OpenFile&) const {
    const auto is = [](bool holds) { return holds ? Readiness::Is::yes : Readiness::Is::no; };
    const bool has_ended = state_ == State::ended;
    Readiness ready;
    ready.readable = is(received_.size() != 0 || !backlog_.empty() || is_at_end());
    ready.writable =
        is(has_ended || (state_ == State::connected && (is_write_shut() || credit_.room() != 0)));
    ready.peer_closed = is(is_at_end());
    ready.hung_up = is(has_ended || (is_at_end() && is_write_shut()));
    ready.error = is(error_ != Errno{});
    return ready;
}

}  // namespace shoal::guest
