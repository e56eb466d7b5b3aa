// Making, accepting and ending connections.
#include "guest/net/tcp_socket.h"

#include <lwip/priv/tcp_priv.h>

#include <algorithm>
#include <new>
#include <utility>

namespace shoal::guest::net {
namespace {

constexpr std::uint32_t backlog_max = 0xFF;  // as lwIP counts it

}  // namespace

TcpSocket::~TcpSocket() {
    // One by one: each would otherwise be destroyed within the one before it.
    while (first_accepted_) {
        first_accepted_ = std::exchange(first_accepted_->next_accepted_, {});
    }
    close_connection();
}

ip_pcb* TcpSocket::common() const noexcept {
    // SAFETY: lwIP's pcbs all begin with the members of ip_pcb.
    return reinterpret_cast<ip_pcb*>(pcb_);
}

Result<void> TcpSocket::ensure_pcb() {
    if (pcb_ != nullptr) {
        return {};
    }
    tcp_pcb* pcb = tcp_new_ip_type(address_type());
    if (pcb == nullptr) {
        return fail(Errno::nobufs);
    }
    attach(pcb);
    return {};
}

void TcpSocket::attach(tcp_pcb* pcb) {
    pcb_ = pcb;
    tcp_arg(pcb, this);
    tcp_recv(pcb, &TcpSocket::on_received);
    tcp_sent(pcb, &TcpSocket::on_sent);
    tcp_err(pcb, &TcpSocket::on_error);
    apply_options();
    apply_tcp_options();
}

// Leaves the connection to lwIP.
void TcpSocket::detach() {
    remember_addresses();
    tcp_arg(pcb_, nullptr);
    pcb_ = nullptr;
}

void TcpSocket::remember_addresses() noexcept {
    if (pcb_ == nullptr) {
        return;
    }
    local_ = {pcb_->local_ip, pcb_->local_port};
    if (state_ != State::listening) {
        peer_ = {pcb_->remote_ip, pcb_->remote_port};
    }
}

void TcpSocket::close_connection() {
    if (pcb_ == nullptr) {
        return;
    }
    if (state_ == State::listening && leave_listeners()) {
        return;
    }
    tcp_pcb* pcb = std::exchange(pcb_, nullptr);
    tcp_arg(pcb, nullptr);
    if (state_ == State::listening) {
        tcp_close(pcb);
        return;
    }
    const bool is_lost = unacknowledged_ && !unacknowledged_->is_written();
    if (aborts_on_close_ || is_lost) {
        tcp_abort(pcb);
    } else {
        // Before the call, which may end it.
        if (unacknowledged_ && !unacknowledged_->empty() && received_.size_bytes() == 0) {
            SendBuffer::outlive(unacknowledged_.release(), *pcb);
        }
        if (tcp_close(pcb) != ERR_OK) {
            tcp_abort(pcb);
        }
    }
    Network::instance().flush();
}

Result<void> TcpSocket::bind(const SocketAddress& address) {
    const auto endpoint = endpoint_to_bind(address);
    if (!endpoint) {
        return fail(endpoint.error());
    }
    if (is_bound_ || state_ != State::idle) {
        return fail(Errno::inval);
    }
    if (const auto made = ensure_pcb(); !made) {
        return made;
    }
    if (const err_t error = tcp_bind(pcb_, &endpoint->address, endpoint->port); error != ERR_OK) {
        return fail(errno_of(error));
    }
    is_bound_ = true;
    return {};
}

Result<void> TcpSocket::listen(std::uint32_t backlog) {
    if (state_ == State::listening) {
        return {};
    }
    if (state_ != State::idle) {
        return fail(Errno::inval);
    }
    if (const auto made = ensure_pcb(); !made) {
        return made;
    }
    if (!is_bound_) {
        const ip_addr_t* any = family() == address_family::inet ? IP4_ADDR_ANY : IP_ANY_TYPE;
        if (const err_t error = tcp_bind(pcb_, any, 0); error != ERR_OK) {
            return fail(errno_of(error));
        }
        is_bound_ = true;
    }
    backlog_ = static_cast<std::uint8_t>(std::clamp(backlog, 1U, backlog_max));
    if (tcp_pcb* shared = listener_to_share()) {
        join(shared);
        return {};
    }
    err_t error = ERR_OK;
    tcp_pcb* listener = tcp_listen_with_backlog_and_err(pcb_, backlog_, &error);
    if (listener == nullptr) {
        return fail(errno_of(error));
    }
    pcb_ = listener;
    state_ = State::listening;
    tcp_arg(pcb_, this);
    tcp_accept(pcb_, &TcpSocket::on_accepted);
    return {};
}

// The listener at this address of sockets that share their port, if this one does, too.
tcp_pcb* TcpSocket::listener_to_share() const noexcept {
    if (!reuses_port()) {
        return nullptr;
    }
    for (tcp_pcb_listen* listener = tcp_listen_pcbs.listen_pcbs; listener != nullptr;
         listener = listener->next) {
        if (listener->local_port == pcb_->local_port &&
            ip_addr_cmp(&listener->local_ip, &pcb_->local_ip)) {
            const auto* socket = static_cast<const TcpSocket*>(listener->callback_arg);
            return socket->reuses_port() ? socket->pcb_ : nullptr;
        }
    }
    return nullptr;
}

void TcpSocket::join(tcp_pcb* listener) {
    auto* turn = static_cast<TcpSocket*>(listener->callback_arg);
    next_listener_ = std::exchange(turn->next_listener_, this);
    tcp_pcb* bound = std::exchange(pcb_, listener);
    tcp_arg(bound, nullptr);
    tcp_close(bound);
    state_ = State::listening;
    share_backlog();
}

// False when there is no other.
bool TcpSocket::leave_listeners() noexcept {
    if (next_listener_ == this) {
        return false;
    }
    TcpSocket* before = next_listener_;
    while (before->next_listener_ != this) {
        before = before->next_listener_;
    }
    before->next_listener_ = std::exchange(next_listener_, this);
    tcp_arg(std::exchange(pcb_, nullptr), before->next_listener_);
    before->share_backlog();
    return true;
}

// lwIP counts connections that wait for any of them.
void TcpSocket::share_backlog() noexcept {
    std::uint32_t sum = backlog_;
    for (const TcpSocket* other = next_listener_; other != this; other = other->next_listener_) {
        sum += other->backlog_;
    }
    tcp_backlog_set(pcb_, static_cast<std::uint8_t>(std::min(sum, backlog_max)));
}

// The argument is the socket whose turn it was when the connection began, which may be gone.
err_t TcpSocket::on_accepted(void*, tcp_pcb* pcb, err_t error) {
    if (pcb == nullptr || error != ERR_OK) {
        return ERR_VAL;
    }
    auto* self = static_cast<TcpSocket*>(pcb->listener->callback_arg);
    pcb->listener->callback_arg = self->next_listener_;
    FileSystem& files = self->file_system();
    const auto made = files.make_inode<TcpSocket>(
        files, SocketKind{self->family(), self->socket_type(), self->protocol()});
    if (!made) {
        return ERR_MEM;
    }
    made->inherit_options(*self);
    made->no_delay_ = self->no_delay_;
    made->keep_idle_s_ = self->keep_idle_s_;
    made->keep_interval_s_ = self->keep_interval_s_;
    made->keep_count_ = self->keep_count_;
    made->attach(pcb);
    made->state_ = State::connected;
    made->remember_addresses();
    tcp_backlog_delayed(pcb);
    TcpSocket* last = made.get();
    (self->first_accepted_ ? self->last_accepted_->next_accepted_ : self->first_accepted_) = made;
    self->last_accepted_ = last;
    self->waiters().wake_all();
    return ERR_OK;
}

Result<SocketRef> TcpSocket::accept(SocketAddress& peer) {
    if (state_ != State::listening) {
        return fail(Errno::inval);
    }
    if (!first_accepted_) {
        Network::instance().poll();
        Network::instance().flush();
    }
    if (!first_accepted_) {
        return fail(Errno::again);
    }
    const Ref<TcpSocket> connection = first_accepted_;
    first_accepted_ = std::exchange(connection->next_accepted_, {});
    if (connection->pcb_ != nullptr) {
        tcp_backlog_accepted(connection->pcb_);
    }
    peer = address_of(connection->peer_, family());
    return SocketRef{connection};
}

Result<void> TcpSocket::connect(const SocketAddress& address) {
    switch (state_) {
        case State::connected:
            // The first call afterwards tells the success: also one that a signal interrupted and
            // that is made again.
            return std::exchange(is_connect_told_, true) ? fail(Errno::isconn) : Result<void>{};
        case State::listening:
            return fail(Errno::isconn);
        case State::connecting:
            return fail(Errno::already);
        case State::ended:  // a failure that was told: it may try again
        case State::idle:
            break;
    }
    const auto endpoint = endpoint_to_reach(address);
    if (!endpoint) {
        return fail(endpoint.error());
    }
    if (const auto made = ensure_pcb(); !made) {
        return made;
    }
    error_ = Errno{};
    const err_t error =
        tcp_connect(pcb_, &endpoint->address, endpoint->port, &TcpSocket::on_connected);
    if (error != ERR_OK) {
        return fail(error == ERR_VAL ? Errno::netunreach : errno_of(error));
    }
    state_ = State::connecting;
    is_connect_told_ = false;
    remember_addresses();
    Network::instance().flush();
    return fail(Errno::inprogress);
}

err_t TcpSocket::on_connected(void* socket, tcp_pcb*, err_t) {
    if (auto* self = static_cast<TcpSocket*>(socket)) {
        self->state_ = State::connected;
        self->remember_addresses();
        self->waiters().wake_all();
    }
    return ERR_OK;
}

// The connection is gone already.
void TcpSocket::on_error(void* socket, err_t error) {
    auto* self = static_cast<TcpSocket*>(socket);
    if (self == nullptr) {
        return;
    }
    const bool was_connecting = self->state_ == State::connecting;
    self->pcb_ = nullptr;
    self->unacknowledged_.reset();
    self->state_ = State::ended;
    self->is_bound_ = false;
    if (error != ERR_CLSD) {
        self->error_ = was_connecting && error == ERR_RST ? Errno::connrefused : errno_of(error);
    }
    self->waiters().wake_all();
}

Result<void> TcpSocket::shutdown(Shutdown how) {
    if (state_ == State::listening) {
        close_connection();
        state_ = State::ended;
        waiters().wake_all();
        return {};
    }
    if (state_ != State::connected && state_ != State::ended) {
        return fail(Errno::notconn);
    }
    reading_is_shut_ = reading_is_shut_ || how != Shutdown::write;
    if (how != Shutdown::read && !writing_is_shut_) {
        writing_is_shut_ = true;
        // What lwIP does not have yet leaves before the end does: on_sent().
        owes_end_ = unacknowledged_ && !unacknowledged_->is_written();
        if (!owes_end_ && pcb_ != nullptr && tcp_shutdown(pcb_, 0, 1) != ERR_OK) {
            return fail(Errno::nobufs);
        }
        Network::instance().flush();
    }
    waiters().wake_all();
    return {};
}

Result<SocketAddress> TcpSocket::local_address() const {
    if (pcb_ != nullptr) {
        return address_of({pcb_->local_ip, pcb_->local_port}, family());
    }
    return address_of(local_, family());
}

Result<SocketAddress> TcpSocket::peer_address() const {
    if (state_ != State::connected) {
        return fail(Errno::notconn);
    }
    return address_of(peer_, family());
}

Errno TcpSocket::take_error() noexcept {
    return std::exchange(error_, Errno{});
}

}  // namespace shoal::guest::net
