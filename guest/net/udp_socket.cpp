// Datagrams.
#include "guest/net/udp_socket.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace shoal::guest::net {
namespace {

constexpr std::size_t datagram_bytes_max = 65507;  // 65535 less the headers of IPv4 and UDP
// Of one pbuf: what the kernel's heap gives without whole pages.
constexpr std::size_t piece_bytes_max = 1472;
// Besides its data, for what a datagram takes of the memory that it may.
constexpr std::size_t overhead_bytes = 256;

// The message's bytes, in lwIP's buffers. nullptr when memory is gone.
pbuf* allocate(std::size_t size) {
    pbuf* whole = nullptr;
    for (std::size_t done = 0; whole == nullptr || done < size;) {
        const std::size_t count = std::min(size - done, piece_bytes_max);
        pbuf* piece = pbuf_alloc(PBUF_TRANSPORT, static_cast<std::uint16_t>(count), PBUF_RAM);
        if (piece == nullptr) {
            if (whole != nullptr) {
                pbuf_free(whole);
            }
            return nullptr;
        }
        if (whole == nullptr) {
            whole = piece;
        } else {
            pbuf_cat(whole, piece);
        }
        done += count;
    }
    return whole;
}

bool is_same(const ip_addr_t& address, std::span<const std::byte> bytes) {
    if (IP_IS_V4_VAL(address) != (bytes.size() == sizeof(ip4_addr_t))) {
        return false;
    }
    const void* own = IP_IS_V4_VAL(address) ? static_cast<const void*>(&ip_2_ip4(&address)->addr)
                                            : static_cast<const void*>(ip_2_ip6(&address)->addr);
    return std::memcmp(own, bytes.data(), bytes.size()) == 0;
}

bool was_from(const udp_pcb& pcb, const RefusedDatagram& datagram) {
    return (pcb.flags & UDP_FLAGS_CONNECTED) != 0 && pcb.local_port == datagram.source_port &&
           pcb.remote_port == datagram.destination_port &&
           is_same(pcb.remote_ip, datagram.destination) &&
           (ip_addr_isany(&pcb.local_ip) || is_same(pcb.local_ip, datagram.source));
}

}  // namespace

UdpSocket::~UdpSocket() {
    while (first_ != nullptr) {
        drop_first();
    }
    if (pcb_ != nullptr) {
        udp_remove(pcb_);
    }
}

ip_pcb* UdpSocket::common() const noexcept {
    // SAFETY: lwIP's pcbs all begin with the members of ip_pcb.
    return reinterpret_cast<ip_pcb*>(pcb_);
}

Result<void> UdpSocket::ensure_pcb() {
    if (pcb_ == nullptr) {
        pcb_ = udp_new_ip_type(address_type());
        if (pcb_ == nullptr) {
            return fail(Errno::nobufs);
        }
        udp_recv(pcb_, &UdpSocket::on_received, this);
        apply_options();
    }
    return {};
}

Result<void> UdpSocket::bind(const SocketAddress& address) {
    const auto endpoint = endpoint_to_bind(address);
    if (!endpoint) {
        return fail(endpoint.error());
    }
    if (is_bound_) {
        return fail(Errno::inval);
    }
    if (const auto made = ensure_pcb(); !made) {
        return made;
    }
    if (const err_t error = udp_bind(pcb_, &endpoint->address, endpoint->port); error != ERR_OK) {
        return fail(errno_of(error));
    }
    is_bound_ = true;
    return {};
}

Result<void> UdpSocket::connect(const SocketAddress& address) {
    if (const auto made = ensure_pcb(); !made) {
        return made;
    }
    if (address.family() == address_family::unspecified) {
        udp_disconnect(pcb_);
        return {};
    }
    const auto endpoint = endpoint_to_reach(address);
    if (!endpoint) {
        return fail(endpoint.error());
    }
    const err_t error = udp_connect(pcb_, &endpoint->address, endpoint->port);
    if (error != ERR_OK) {
        return fail(errno_of(error));
    }
    is_bound_ = true;
    return {};
}

void UdpSocket::push(Datagram* datagram) noexcept {
    (last_ == nullptr ? first_ : last_->next) = datagram;
    last_ = datagram;
    queued_bytes_ += datagram->data->tot_len + overhead_bytes;
}

void UdpSocket::drop_first() noexcept {
    Datagram* datagram = std::exchange(first_, first_->next);
    last_ = first_ == nullptr ? nullptr : last_;
    queued_bytes_ -= datagram->data->tot_len + overhead_bytes;
    pbuf_free(datagram->data);
    delete datagram;
}

void UdpSocket::on_received(void* socket, udp_pcb*, pbuf* data, const ip_addr_t* from, u16_t port) {
    auto* self = static_cast<UdpSocket*>(socket);
    Datagram* datagram = nullptr;
    if (self->queued_bytes_ + data->tot_len <= waiting_bytes_max) {
        datagram = new (std::nothrow_t{}) Datagram{nullptr, data, {*from, port}};
    }
    if (datagram == nullptr) {
        pbuf_free(data);
        return;
    }
    self->push(datagram);
    self->waiters().wake_all();
}

void UdpSocket::note_refused(const RefusedDatagram& datagram) noexcept {
    for (const udp_pcb* pcb = udp_pcbs; pcb != nullptr; pcb = pcb->next) {
        // DHCP has one, too.
        if (pcb->recv == &UdpSocket::on_received && was_from(*pcb, datagram)) {
            auto* socket = static_cast<UdpSocket*>(pcb->recv_arg);
            socket->error_ = Errno::connrefused;
            socket->waiters().wake_all();
        }
    }
}

Errno UdpSocket::take_error() noexcept {
    return std::exchange(error_, Errno{});
}

Result<std::size_t> UdpSocket::send(OutgoingMessage& message) {
    if (error_ != Errno{}) {
        return fail(take_error());
    }
    Endpoint to;
    if (message.to != nullptr) {
        const auto endpoint = endpoint_to_reach(*message.to);
        if (!endpoint) {
            return fail(endpoint.error());
        }
        to = *endpoint;
    } else if (!is_connected()) {
        return fail(Errno::destaddrreq);
    }
    if (message.size > datagram_bytes_max) {
        return fail(Errno::msgsize);
    }
    if (const auto made = ensure_pcb(); !made) {
        return fail(made.error());
    }
    pbuf* data = allocate(message.size);
    if (data == nullptr) {
        return fail(Errno::nobufs);
    }
    err_t error = ERR_OK;
    bool is_readable = true;
    for (pbuf* part = data; part != nullptr && is_readable; part = part->next) {
        is_readable = message.data.get({static_cast<std::byte*>(part->payload), part->len});
    }
    if (is_readable) {
        error = message.to != nullptr ? udp_sendto(pcb_, data, &to.address, to.port)
                                      : udp_send(pcb_, data);
        is_bound_ = true;
    }
    pbuf_free(data);
    Network::instance().flush();
    if (error == ERR_VAL) {
        return fail(Errno::acces);  // broadcast without SO_BROADCAST
    }
    if (!is_readable || error != ERR_OK) {
        return fail(is_readable ? errno_of(error) : Errno::fault);
    }
    return message.size;
}

Result<std::size_t> UdpSocket::receive(IncomingMessage& message) {
    if (first_ == nullptr) {
        Network::instance().poll();
        Network::instance().flush();
    }
    if (error_ != Errno{}) {
        return fail(take_error());
    }
    if (first_ == nullptr) {
        return reading_is_shut_ ? Result<std::size_t>{std::size_t{0}} : fail(Errno::again);
    }
    const std::size_t size = first_->data->tot_len;
    std::size_t left = std::min(size, message.size);
    for (const pbuf* part = first_->data; left > 0; part = part->next) {
        const std::size_t piece = std::min<std::size_t>(part->len, left);
        if (!message.data.put({static_cast<const std::byte*>(part->payload), piece})) {
            return fail(Errno::fault);
        }
        left -= piece;
    }
    message.from = address_of(first_->from, family());
    if (size > message.size) {
        message.result_flags |= message_flags::truncated;
    }
    if ((message.flags & message_flags::peek) == 0) {
        drop_first();
    }
    return (message.flags & message_flags::truncated) != 0 ? size : std::min(size, message.size);
}

Result<void> UdpSocket::shutdown(Shutdown how) {
    if (!is_connected()) {
        return fail(Errno::notconn);
    }
    reading_is_shut_ = reading_is_shut_ || how != Shutdown::write;
    waiters().wake_all();
    return {};
}

Result<SocketAddress> UdpSocket::local_address() const {
    if (pcb_ == nullptr) {
        return address_of({family() == address_family::inet ? *IP4_ADDR_ANY : *IP6_ADDR_ANY, 0},
                          family());
    }
    return address_of({pcb_->local_ip, pcb_->local_port}, family());
}

Result<SocketAddress> UdpSocket::peer_address() const {
    if (!is_connected()) {
        return fail(Errno::notconn);
    }
    return address_of({pcb_->remote_ip, pcb_->remote_port}, family());
}

Readiness UdpSocket::readiness(const OpenFile&) const {
    using Is = Readiness::Is;
    return {.readable = first_ != nullptr || reading_is_shut_ ? Is::yes : Is::no,
            .writable = Is::yes,
            .error = error_ != Errno{} ? Is::yes : Is::no};
}

std::size_t UdpSocket::waiting_bytes() const noexcept {
    return first_ == nullptr ? 0 : first_->data->tot_len;
}

}  // namespace shoal::guest::net
