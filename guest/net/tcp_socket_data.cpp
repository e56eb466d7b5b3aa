// Bytes in and out of a connection, and what can be done with it.
#include <lwip/priv/tcp_priv.h>

#include <algorithm>
#include <new>
#include <utility>

#include "guest/net/tcp_socket.h"

namespace shoal::guest::net {
namespace {

// What a page of data can take of lwIP's queue, in pieces as small as they get.
constexpr std::size_t queue_reserve = 32;
// tcp_recved() counts with 16 bits.
constexpr std::size_t recved_max = 0xFFFF;

}  // namespace

err_t TcpSocket::on_received(void* socket, tcp_pcb* pcb, pbuf* data, err_t) {
    auto* self = static_cast<TcpSocket*>(socket);
    if (self == nullptr) {
        // Nobody reads any more: the peer learns it as from Linux.
        if (data != nullptr) {
            pbuf_free(data);
            tcp_abort(pcb);
            return ERR_ABRT;
        }
        return ERR_OK;
    }
    if (data != nullptr) {
        self->received_.push(data);
    } else {
        self->peer_has_closed_ = true;
        // lwIP frees what both sides have closed without a word.
        if (self->writing_is_shut_ && self->pcb_ != nullptr) {
            if (self->unacknowledged_ && !self->unacknowledged_->empty()) {
                self->remember_addresses();
                SendBuffer::outlive(self->unacknowledged_.release(), *pcb);
                self->pcb_ = nullptr;
            } else {
                self->detach();
            }
        }
    }
    self->waiters().wake_all();
    return ERR_OK;
}

err_t TcpSocket::on_sent(void* socket, tcp_pcb* pcb, u16_t count) {
    if (auto* self = static_cast<TcpSocket*>(socket)) {
        self->unacknowledged_->acknowledge(count);
        self->unacknowledged_->write(*pcb);
        if (self->owes_end_ && self->unacknowledged_->is_written()) {
            self->owes_end_ = tcp_shutdown(pcb, 0, 1) != ERR_OK;
        }
        self->waiters().wake_all();
    }
    return ERR_OK;
}

std::size_t TcpSocket::send_room() const noexcept {
    if (pcb_ == nullptr || (unacknowledged_ && !unacknowledged_->is_written()) ||
        tcp_sndqueuelen(pcb_) + queue_reserve > TCP_SND_QUEUELEN) {
        return 0;
    }
    return tcp_sndbuf(pcb_);
}

Result<void> TcpSocket::check_sendable() {
    if (error_ != Errno{}) {
        return fail(take_error());
    }
    switch (state_) {
        case State::idle:
        case State::listening:
            return fail(Errno::pipe);
        case State::connecting:
            return fail(Errno::again);
        case State::connected:
        case State::ended:
            break;
    }
    return writing_is_shut_ || pcb_ == nullptr ? fail(Errno::pipe) : Result<void>{};
}

Result<std::size_t> TcpSocket::take_bytes(OutgoingMessage& message) {
    std::size_t done = 0;
    for (std::size_t room = send_room(); done < message.size && room > 0; room = send_room()) {
        const auto free = unacknowledged_->room();
        if (free.empty()) {
            return done == 0 && unacknowledged_->empty() ? fail(Errno::nobufs)
                                                         : Result<std::size_t>{done};
        }
        const auto piece = free.first(std::min({free.size(), room, message.size - done}));
        if (!message.data.get(piece)) {
            return done == 0 ? fail(Errno::fault) : Result<std::size_t>{done};
        }
        unacknowledged_->add(piece.size());
        unacknowledged_->write(*pcb_);
        done += piece.size();
    }
    return done;
}

Result<std::size_t> TcpSocket::send(OutgoingMessage& message) {
    if (const auto sendable = check_sendable(); !sendable) {
        return fail(sendable.error());
    }
    if (!unacknowledged_) {
        unacknowledged_.reset(new (std::nothrow_t{}) SendBuffer);
    }
    if (!unacknowledged_) {
        return fail(Errno::nobufs);
    }
    if (send_room() == 0) {
        Network::instance().poll();  // acknowledgements, perhaps
        if (pcb_ == nullptr) {
            return fail(error_ != Errno{} ? take_error() : Errno::pipe);
        }
    }
    const auto taken = take_bytes(message);
    if (pcb_ != nullptr) {
        tcp_output(pcb_);
    }
    Network::instance().flush();
    return taken && *taken == 0 && message.size > 0 ? fail(Errno::again) : taken;
}

// Opens the window for as many bytes again.
void TcpSocket::acknowledge_reading(std::size_t count) {
    while (count > 0 && pcb_ != nullptr) {
        const std::size_t piece = std::min(count, recved_max);
        tcp_recved(pcb_, static_cast<std::uint16_t>(piece));
        count -= piece;
    }
}

Result<std::size_t> TcpSocket::receive(IncomingMessage& message) {
    if (state_ == State::idle || state_ == State::listening) {
        return fail(Errno::notconn);
    }
    if (received_.size_bytes() == 0 && !peer_has_closed_ && pcb_ != nullptr) {
        Network::instance().poll();
        Network::instance().flush();
    }
    if (const std::size_t count = std::min(message.size, received_.size_bytes()); count > 0) {
        if (!received_.copy(message.data, count)) {
            return fail(Errno::fault);
        }
        if ((message.flags & message_flags::peek) == 0) {
            received_.discard(count);
            acknowledge_reading(count);
            Network::instance().flush();
        }
        return count;
    }
    if (error_ != Errno{}) {
        return fail(take_error());
    }
    const bool is_over =
        message.size == 0 || peer_has_closed_ || reading_is_shut_ || state_ == State::ended;
    return is_over ? Result<std::size_t>{std::size_t{0}} : fail(Errno::again);
}

Readiness TcpSocket::readiness(const OpenFile&) const {
    using Is = Readiness::Is;
    const auto is = [](bool value) { return value ? Is::yes : Is::no; };
    const bool has_error = error_ != Errno{};
    switch (state_) {
        case State::idle:
            return {.readable = Is::no, .writable = Is::yes, .hung_up = Is::yes};
        case State::listening:
            return {.readable = is(static_cast<bool>(first_accepted_)), .writable = Is::no};
        case State::connecting:
            return {.readable = Is::no, .writable = Is::no};
        case State::ended:
            return {.hung_up = Is::yes, .error = is(has_error), .peer_closed = Is::yes};
        case State::connected:
            break;
    }
    const bool no_more = peer_has_closed_ || reading_is_shut_;
    return {.readable = is(received_.size_bytes() > 0 || no_more || has_error),
            .writable = is(send_room() >= TCP_SNDLOWAT || writing_is_shut_ || pcb_ == nullptr),
            .hung_up = is(no_more && writing_is_shut_),
            .error = is(has_error),
            .peer_closed = is(no_more)};
}

}  // namespace shoal::guest::net
