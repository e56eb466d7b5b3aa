// VsockSocket: bytes in and out, and what packets of the host do.
#include <algorithm>

#include "guest/kernel/net/vsock_socket.h"
#include "guest/kernel/net/vsock_transport.h"

namespace shoal::guest {

using namespace abi::virtio::vsock;

bool VsockSocket::is_at_end() const noexcept {
    return state_ == State::ended || (shut_ & shutdown_flag::receive) != 0 ||
           (peer_shut_ & shutdown_flag::send) != 0;
}

bool VsockSocket::is_write_shut() const noexcept {
    return state_ == State::ended || (shut_ & shutdown_flag::send) != 0 ||
           (peer_shut_ & shutdown_flag::receive) != 0;
}

Header VsockSocket::header_of(Operation op) {
    Header header{};
    header.op = op;
    header.src_port = local_.port;
    header.dst_port = peer_port_;
    credit_.tell(header);
    return header;
}

void VsockSocket::tell(Operation op, std::uint32_t flags) {
    Header header = header_of(op);
    header.flags = flags;
    VsockTransport::instance().send_control(header);
}

// As much as the host has room for and the device's queue takes.
Result<std::size_t> VsockSocket::send_pieces(OutgoingMessage& message) {
    VsockTransport& transport = VsockTransport::instance();
    std::size_t done = 0;
    while (done < message.size) {
        const std::size_t credit = std::min<std::size_t>(credit_.room(), message.size - done);
        const auto room = credit != 0 ? transport.payload_room() : std::span<std::byte>{};
        const auto piece = room.first(std::min(room.size(), credit));
        if (piece.empty()) {
            break;
        }
        if (!message.data.get(piece)) {
            return done == 0 ? fail(Errno::fault) : Result<std::size_t>{done};
        }
        Header header = header_of(Operation::rw);
        header.len = static_cast<std::uint32_t>(piece.size());
        transport.send_data(header);
        credit_.count_sent(header.len);
        done += piece.size();
    }
    return done;
}

Result<std::size_t> VsockSocket::send(OutgoingMessage& message) {
    if (error_ != Errno{}) {
        return fail(take_error());
    }
    if (is_write_shut()) {
        return fail(Errno::pipe);
    }
    if (state_ != State::connected) {
        return fail(Errno::notconn);
    }
    VsockTransport& transport = VsockTransport::instance();
    if (credit_.room() == 0) {
        transport.poll();
        if (is_write_shut()) {
            return fail(Errno::pipe);
        }
    }
    const auto sent = send_pieces(message);
    if (credit_.room() == 0 && !std::exchange(asked_for_credit_, true)) {
        tell(Operation::credit_request);
    }
    transport.flush();
    return sent && *sent == 0 && message.size != 0 ? fail(Errno::again) : sent;
}

Result<std::size_t> VsockSocket::receive(IncomingMessage& message) {
    if (error_ != Errno{}) {
        return fail(take_error());
    }
    if (state_ != State::connected && state_ != State::ended) {
        return fail(Errno::notconn);
    }
    VsockTransport& transport = VsockTransport::instance();
    if (received_.size() == 0) {
        transport.poll();
    }
    const std::size_t count = std::min(message.size, received_.size());
    if (count == 0) {
        return message.size == 0 || is_at_end() ? Result<std::size_t>{0} : fail(Errno::again);
    }
    if (!received_.copy(message.data, count)) {
        return fail(Errno::fault);
    }
    if ((message.flags & message_flags::peek) == 0) {
        received_.discard(count);
        credit_.count_taken(static_cast<std::uint32_t>(count));
        if (state_ == State::connected && credit_.is_update_due()) {
            tell(Operation::credit_update);
            transport.flush();
        }
    }
    return count;
}

void VsockSocket::on_packet(const VsockPacket& packet) {
    credit_.hear(packet.header);
    asked_for_credit_ = asked_for_credit_ && credit_.room() == 0;
    switch (packet.header.op) {
        case Operation::response:
            state_ = State::connected;
            break;
        case Operation::rw:
            on_data(packet);
            break;
        case Operation::shutdown:
            on_shutdown(packet.header.flags);
            break;
        case Operation::credit_request:
            tell(Operation::credit_update);
            break;
        case Operation::rst:
            on_rst();
            break;
        case Operation::credit_update:
            break;
        case Operation::invalid:
        case Operation::request:
        default:
            tell(Operation::rst);
            on_rst();
            break;
    }
    waiters().wake_all();
}

// A host that sends more than it was told there is room for is not served any further.
void VsockSocket::on_data(const VsockPacket& packet) {
    if (state_ != State::connected || !received_.append(packet.payload)) {
        tell(Operation::rst);
        on_rst();
    }
}

// Nothing moves any more once the host neither sends nor receives: the connection ends with our RST
// (5.10.6.6), and what came before can still be read.
void VsockSocket::on_shutdown(std::uint32_t flags) {
    peer_shut_ |= flags & shutdown_flag::both;
    if (peer_shut_ == shutdown_flag::both) {
        tell(Operation::rst);
        on_rst();
    }
}

// As on Linux: who connects hears of it, who reads comes to the end.
void VsockSocket::on_rst() {
    const bool was_connecting = state_ == State::connecting;
    state_ = was_connecting ? State::idle : State::ended;
    if (was_connecting) {
        error_ = Errno::connreset;
        peer_shut_ = 0;
    }
}

void VsockSocket::on_transport_reset() {
    if (state_ == State::connecting || state_ == State::connected) {
        state_ = State::ended;
        error_ = Errno::connreset;
    }
    waiters().wake_all();
}

}  // namespace shoal::guest
