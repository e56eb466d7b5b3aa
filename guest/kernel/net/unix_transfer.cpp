// UnixSocket: sending and receiving.
#include "guest/kernel/net/unix_socket.h"

#include <algorithm>

namespace shoal::guest {
namespace {

constexpr std::size_t stream_piece_max = 32768;
constexpr std::size_t files_max = 253;  // SCM_MAX_FD

}  // namespace

// Whom a message goes to.
Result<Ref<UnixSocket>> UnixSocket::receiver_of(const OutgoingMessage& message) {
    if (!is_datagram()) {
        if (message.to != nullptr) {
            return fail(state_ == State::connected ? Errno::isconn : Errno::opnotsupp);
        }
        if (state_ != State::connected) {
            return fail(Errno::notconn);
        }
        return peer_ && !no_more_writes_ ? Result<Ref<UnixSocket>>{peer_} : fail(Errno::pipe);
    }
    const auto found = message.to != nullptr ? find_bound(*message.to) : peer_;
    if (!found) {
        return fail(found.error());
    }
    if (!*found) {
        return fail(Errno::notconn);
    }
    UnixSocket& target = **found;
    if (target.socket_type() != socket_type()) {
        return fail(Errno::prototype);
    }
    if (target.state_ == State::closed) {
        peer_ = {};
        state_ = State::unconnected;
        return fail(Errno::connrefused);
    }
    if (target.peer_ && target.peer_.get() != this) {
        return fail(Errno::perm);
    }
    return no_more_writes_ || target.no_more_reads_ ? fail(Errno::pipe) : found;
}

// Takes the message's files along.
Result<void> UnixSocket::put_packet(UnixSocket& to, OutgoingMessage& message, std::size_t size) {
    std::unique_ptr<UnixPacket> packet{new (std::nothrow_t{}) UnixPacket};
    if (packet) {
        packet->bytes.reset(new (std::nothrow_t{}) std::byte[size]);
    }
    if (!packet || !packet->bytes) {
        return fail(Errno::nomem);
    }
    if (!message.data.get({packet->bytes.get(), size})) {
        return fail(Errno::fault);
    }
    packet->size = size;
    packet->files = std::exchange(message.files, {});
    packet->from = address_;
    packet->sender = own_credentials();
    to.packets_.push_back(std::move(packet));
    to.waiters().wake_all();
    return {};
}

Result<std::size_t> UnixSocket::send(OutgoingMessage& message) {
    if ((message.flags & message_flags::out_of_band) != 0) {
        return fail(Errno::opnotsupp);
    }
    if (message.files.size() > files_max) {
        return fail(Errno::inval);
    }
    const auto to = receiver_of(message);
    if (!to) {
        return fail(to.error());
    }
    const bool is_stream = socket_type() == SocketType::stream;
    if (!is_stream && message.size > buffer_bytes - 32) {
        return fail(Errno::msgsize);
    }
    if (is_stream && message.size == 0) {
        return std::size_t{0};
    }
    std::size_t done = 0;
    do {
        if (!(*to)->has_room()) {
            if (peer_ != *to) {  // who is connected waits there already
                room_place_.join((*to)->room_waiters_, room_listener_);
            }
            return done != 0 ? Result<std::size_t>{done} : fail(Errno::again);
        }
        const std::size_t size =
            is_stream ? std::min(message.size - done, stream_piece_max) : message.size;
        if (const auto put = put_packet(**to, message, size); !put) {
            return done != 0 ? Result<std::size_t>{done} : fail(put.error());
        }
        done += size;
    } while (done < message.size);
    return done;
}

Result<std::size_t> UnixSocket::nothing_to_receive() {
    if (error_ != Errno{}) {
        return fail(take_error());
    }
    if (no_more_reads_) {
        return std::size_t{0};
    }
    return fail(!is_datagram() && state_ != State::connected ? Errno::inval : Errno::again);
}

void UnixSocket::tell_room(bool had_much_room) noexcept {
    if (!had_much_room && has_much_room()) {
        room_waiters_.wake_all();
    }
}

Result<std::size_t> UnixSocket::receive(IncomingMessage& message) {
    if ((message.flags & message_flags::out_of_band) != 0) {
        return fail(is_datagram() ? Errno::opnotsupp : Errno::inval);
    }
    if (packets_.empty()) {
        return nothing_to_receive();
    }
    if (passes_credentials_) {
        message.credentials = packets_.first()->sender;
    }
    return socket_type() == SocketType::stream ? receive_stream(message) : receive_packet(message);
}

// Bytes of one packet after the other, up to one with files, as on Linux.
Result<std::size_t> UnixSocket::receive_stream(IncomingMessage& message) {
    const bool peeks = (message.flags & message_flags::peek) != 0;
    const bool had_much_room = has_much_room();
    std::size_t done = 0;
    const UnixPacket* peeked = packets_.first();
    while (done < message.size && (peeks ? peeked != nullptr : !packets_.empty())) {
        const UnixPacket& packet = peeks ? *peeked : *packets_.first();
        const auto piece = packet.rest().first(std::min(packet.rest().size(), message.size - done));
        if (!message.data.put(piece)) {
            return done == 0 ? fail(Errno::fault) : Result<std::size_t>{done};
        }
        done += piece.size();
        const bool has_files = !packet.files.empty();
        if (peeks) {
            message.files.insert(message.files.end(), packet.files.begin(), packet.files.end());
            peeked = packet.next.get();
        } else {
            auto taken = packets_.pop();
            message.files = std::move(taken->files);
            taken->files.clear();
            taken->taken += piece.size();
            if (!taken->rest().empty()) {
                packets_.push_front(std::move(taken));
            }
        }
        if (has_files) {
            break;
        }
    }
    tell_room(had_much_room);
    return done;
}

// One packet; what has no room is lost.
Result<std::size_t> UnixSocket::receive_packet(IncomingMessage& message) {
    const bool had_much_room = has_much_room();
    std::unique_ptr<UnixPacket> packet = packets_.pop();
    const std::size_t count = std::min(packet->size, message.size);
    const bool is_put = message.data.put(packet->rest().first(count));
    if (!packet->from.is_unnamed()) {
        message.from = packet->from.socket_address();
    }
    if (count < packet->size) {
        message.result_flags |= message_flags::truncated;
    }
    const std::size_t size = packet->size;
    if ((message.flags & message_flags::peek) != 0) {
        message.files = packet->files;
        packets_.push_front(std::move(packet));
    } else {
        message.files = std::move(packet->files);
        tell_room(had_much_room);
    }
    if (!is_put) {
        return fail(Errno::fault);
    }
    return (message.flags & message_flags::truncated) != 0 ? size : count;
}

}  // namespace shoal::guest
