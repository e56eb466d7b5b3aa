// A connection's life, and what it has for the guest.
#include "devices/virtio/vsock_connection.h"

#include <utility>

#include "devices/backend/vsock_watch.h"

namespace shoal::virtio {

namespace shutdown_flag = abi::virtio::vsock::shutdown_flag;

VsockConnection::VsockConnection(const Context& context, VsockPorts ports,
                                 backend::VsockSocket socket, const Header& request) noexcept
    : context_{context}, ports_{ports}, socket_{std::move(socket)}, state_{State::open} {
    credit_.hear(request);
    set_due(Operation::response);
}

VsockConnection::VsockConnection(const Context& context, VsockPorts ports,
                                 backend::VsockSocket socket) noexcept
    : context_{context},
      ports_{ports},
      socket_{std::move(socket)},
      state_{State::requested},
      ticks_left_{patience_ticks + 1} {  // the first tick may come at once
    set_due(Operation::request);
}

VsockConnection::~VsockConnection() {
    close_socket();
}

bool VsockConnection::start() noexcept {
    const bool watched = backend::watch(context_.reactor, socket_.fd(),
                                        EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this);
    if (!watched) {
        socket_.close();
    }
    return watched;
}

void VsockConnection::tick() noexcept {
    if (ticks_left_ != 0 && --ticks_left_ == 0) {
        kill();
    }
}

// ---- from the socket ----------------------------------------------------------------------------

void VsockConnection::take_events(std::uint32_t events) noexcept {
    if (state_ == State::closed) {
        return;
    }
    readable_ = readable_ || (events & ~std::uint32_t{EPOLLOUT}) != 0;
    ends_ = ends_ || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    hung_up_ = hung_up_ || (events & EPOLLHUP) != 0;
    if (hung_up_ && state_ == State::requested) {
        kill();
        return;
    }
    flush();
    follow_hang_up();
    ask_for_credit();
}

void VsockConnection::see_end_of_socket() noexcept {
    at_end_ = true;
    readable_ = false;
    host_shutdown_ |= shutdown_flag::send;
    follow_hang_up();
}

// When it is known that nothing more comes, the guest hears that nothing more is read either.
void VsockConnection::follow_hang_up() noexcept {
    if (hung_up_ && (at_end_ || !guest_receives())) {
        host_shutdown_ = shutdown_flag::both;
    }
}

// ---- to the guest -------------------------------------------------------------------------------

bool VsockConnection::has_packet() const noexcept {
    return due_ != 0 || (state_ == State::open && host_shutdown_ != told_shutdown_) ||
           is_readable();
}

std::optional<VsockConnection::Header> VsockConnection::next_packet(VsockPayload& room) noexcept {
    for (const Operation op : {Operation::rst, Operation::request, Operation::response}) {
        if (take_due(op)) {
            return make_header(op);
        }
    }
    if (is_readable()) {
        if (const auto header = read_socket(room)) {
            return header;
        }
    }
    if (state_ == State::open && host_shutdown_ != told_shutdown_) {
        told_shutdown_ = host_shutdown_;
        if (told_shutdown_ == shutdown_flag::both) {
            ticks_left_ = patience_ticks + 1;  // for the guest's RST
        }
        Header header = make_header(Operation::shutdown);
        header.flags = told_shutdown_;
        return header;
    }
    for (const Operation op :
         {Operation::rst, Operation::credit_request, Operation::credit_update}) {
        if (take_due(op)) {
            return make_header(op);
        }
    }
    return std::nullopt;
}

std::optional<VsockConnection::Header> VsockConnection::read_socket(VsockPayload& room) noexcept {
    room.shorten(credit_.available());
    const backend::SocketResult result = socket_.read(room.pieces());
    switch (result.status) {
        case backend::SocketStatus::would_block:
            readable_ = false;
            return std::nullopt;
        case backend::SocketStatus::ended:
            see_end_of_socket();
            return std::nullopt;
        case backend::SocketStatus::failed:
            ++context_.metrics.rx_read_fails;
            kill();
            return std::nullopt;
        case backend::SocketStatus::moved:
            break;
    }
    // After less than there was room for the socket is empty, and tells when it is not. But it has
    // told already of the end.
    readable_ = result.size_bytes == room.size_bytes() || ends_;
    const auto size_bytes = static_cast<std::uint32_t>(result.size_bytes);
    credit_.sent(size_bytes);
    context_.metrics.rx_bytes_count += size_bytes;
    Header header = make_header(Operation::rw);
    header.len = size_bytes;
    ask_for_credit();
    return header;
}

// ---- the end ------------------------------------------------------------------------------------

void VsockConnection::kill() noexcept {
    ++context_.metrics.conns_killed;
    close();
}

// The guest hears of it, if it has ever heard of the connection.
void VsockConnection::close() noexcept {
    const bool unheard_of = is_due(Operation::request);
    close_socket();
    abandon();
    if (!unheard_of) {
        set_due(Operation::rst);
    }
}

void VsockConnection::close_socket() noexcept {
    if (socket_.fd() >= 0) {
        context_.reactor.remove(socket_.fd(), *this);
        socket_.close();
    }
}

void VsockConnection::abandon() noexcept {
    state_ = State::closed;
    due_ = 0;
    ticks_left_ = 0;
    buffer_.clear();
    if (is_linked()) {
        unlink();
    }
}

// ---- small things -------------------------------------------------------------------------------

bool VsockConnection::is_readable() const noexcept {
    return state_ == State::open && readable_ && !at_end_ && guest_receives() &&
           credit_.available() != 0;
}

bool VsockConnection::guest_receives() const noexcept {
    return (guest_shutdown_ & shutdown_flag::receive) == 0;
}

// A guest may wait to be asked before it says that it has room again.
void VsockConnection::ask_for_credit() noexcept {
    if (state_ == State::open && readable_ && !at_end_ && credit_.available() == 0 &&
        !credit_asked_) {
        credit_asked_ = true;
        set_due(Operation::credit_request);
    }
}

void VsockConnection::count_forwarded(std::size_t size_bytes) noexcept {
    credit_.forwarded(static_cast<std::uint32_t>(size_bytes));
    if (credit_.is_announcement_due()) {
        set_due(Operation::credit_update);
    }
}

bool VsockConnection::take_due(Operation op) noexcept {
    const bool due = is_due(op);
    due_ &= ~(1U << static_cast<unsigned>(op));
    return due;
}

VsockConnection::Header VsockConnection::make_header(Operation op) noexcept {
    Header header{};
    header.src_port = ports_.host;
    header.dst_port = ports_.guest;
    header.type = abi::virtio::vsock::Type::stream;
    header.op = op;
    credit_.announce(header);
    static_cast<void>(take_due(Operation::credit_update));
    return header;
}

}  // namespace shoal::virtio
