// What a connection does with the guest's packets, and with what waits for its socket.
#include <array>
#include <string>

#include "devices/virtio/vsock_connection.h"

namespace shoal::virtio {

namespace shutdown_flag = abi::virtio::vsock::shutdown_flag;

void VsockConnection::receive(const Header& header, const VsockPayload& payload) noexcept {
    credit_.hear(header);
    credit_asked_ = credit_asked_ && credit_.available() == 0;
    if (header.op == Operation::rst) {
        close();
        due_ = 0;
        return;
    }
    if (state_ == State::closed) {
        return;  // crossed with our RST
    }
    if (state_ == State::requested) {
        return header.op == Operation::response ? receive_response() : kill();
    }
    switch (header.op) {
        case Operation::shutdown:
            return receive_shutdown(header.flags);
        case Operation::rw:
            return receive_bytes(payload);
        case Operation::credit_request:
            return set_due(Operation::credit_update);
        case Operation::credit_update:
            return;
        case Operation::invalid:
        case Operation::request:
        case Operation::response:
        case Operation::rst:
            break;
    }
    kill();  // out of turn, or unknown
}

// Firecracker's answer to the host program: the port that it has got.
void VsockConnection::receive_response() noexcept {
    std::string line = "OK " + std::to_string(ports_.host) + "\n";
    const std::array pieces{iovec{line.data(), line.size()}};
    if (is_due(Operation::request) || socket_.write(pieces).size_bytes != line.size()) {
        kill();
        return;
    }
    state_ = State::open;
    ticks_left_ = 0;
}

void VsockConnection::receive_shutdown(std::uint32_t flags) noexcept {
    guest_shutdown_ |= flags & shutdown_flag::both;
    if (!guest_receives()) {
        socket_.shutdown_read();
    }
    follow_hang_up();
    follow_guest_shutdown();
}

void VsockConnection::receive_bytes(const VsockPayload& payload) noexcept {
    if ((guest_shutdown_ & shutdown_flag::send) != 0 ||
        payload.size_bytes() > buffer_.free_bytes()) {
        kill();  // it said that it would not, or it was told that it must not
        return;
    }
    context_.metrics.tx_bytes_count += payload.size_bytes();
    backend::SocketResult written;
    if (payload.size_bytes() != 0 && buffer_.size_bytes() == 0) {
        written = socket_.write(payload.pieces());
    }
    if (written.status == backend::SocketStatus::ended ||
        written.status == backend::SocketStatus::failed) {
        stop_writing(payload.size_bytes());
        return;
    }
    count_forwarded(written.size_bytes);
    if (written.size_bytes < payload.size_bytes() &&
        !buffer_.push(payload.pieces(), written.size_bytes)) {
        kill();
    }
}

// What the guest sends is lost from now on, and it is told so.
void VsockConnection::stop_writing(std::size_t lost_bytes) noexcept {
    if ((host_shutdown_ & shutdown_flag::receive) == 0) {
        ++context_.metrics.tx_write_fails;
    }
    host_shutdown_ |= shutdown_flag::receive;
    count_forwarded(lost_bytes + buffer_.size_bytes());
    buffer_.clear();
    follow_guest_shutdown();
}

void VsockConnection::flush() noexcept {
    while (buffer_.size_bytes() != 0) {
        const backend::SocketResult written = socket_.write(buffer_.pieces());
        switch (written.status) {
            case backend::SocketStatus::would_block:
                return;
            case backend::SocketStatus::ended:
            case backend::SocketStatus::failed:
                stop_writing(0);
                return;
            case backend::SocketStatus::moved:
                buffer_.pop(written.size_bytes);
                count_forwarded(written.size_bytes);
        }
    }
    follow_guest_shutdown();
}

// Once all that the guest sent is written. A guest that is done in both directions is answered by
// RST (5.10.6.5).
void VsockConnection::follow_guest_shutdown() noexcept {
    if (state_ != State::open || buffer_.size_bytes() != 0) {
        return;
    }
    if (guest_shutdown_ == shutdown_flag::both) {
        close();
    } else if ((guest_shutdown_ & shutdown_flag::send) != 0) {
        socket_.shutdown_write();
    }
}

}  // namespace shoal::virtio
