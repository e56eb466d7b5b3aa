// UdpSocket: SOCK_DGRAM of AF_INET and AF_INET6.
#pragma once

#include <lwip/udp.h>

#include "guest/net/inet_socket.h"
#include "guest/net/refused_datagram.h"

namespace shoal::guest::net {

class UdpSocket final : public InetSocket {
public:
    UdpSocket(FileSystem& file_system, const SocketKind& kind) noexcept
        : InetSocket{file_system, kind} {}
    ~UdpSocket() override;

    Result<void> bind(const SocketAddress& address) override;
    Result<void> connect(const SocketAddress& address) override;
    Result<std::size_t> send(OutgoingMessage& message) override;
    Result<std::size_t> receive(IncomingMessage& message) override;
    Result<void> shutdown(Shutdown how) override;
    Result<SocketAddress> local_address() const override;
    Result<SocketAddress> peer_address() const override;
    [[nodiscard]] Readiness readiness(const OpenFile& file) const override;
    [[nodiscard]] std::size_t waiting_bytes() const noexcept override;
    [[nodiscard]] Errno take_error() noexcept override;

    // Tells the sockets that are connected to where it went: their next call fails with
    // Errno::connrefused. Others are not told, as on Linux.
    static void note_refused(const RefusedDatagram& datagram) noexcept;

private:
    // Datagrams that wait; what comes when there are this many bytes is dropped. Linux's default.
    static constexpr std::size_t waiting_bytes_max = 212992;

    struct Datagram {
        Datagram* next;
        pbuf* data;
        Endpoint from;
    };

    static void on_received(void* socket, udp_pcb* pcb, pbuf* data, const ip_addr_t* from,
                            u16_t port);
    [[nodiscard]] Result<void> ensure_pcb();
    [[nodiscard]] ip_pcb* common() const noexcept override;
    [[nodiscard]] std::int32_t send_buffer_bytes() const noexcept override {
        return waiting_bytes_max;
    }
    [[nodiscard]] std::int32_t receive_buffer_bytes() const noexcept override {
        return waiting_bytes_max;
    }
    [[nodiscard]] bool is_connected() const noexcept {
        return pcb_ != nullptr && (pcb_->flags & UDP_FLAGS_CONNECTED) != 0;
    }
    void push(Datagram* datagram) noexcept;
    void drop_first() noexcept;

    udp_pcb* pcb_ = nullptr;
    Datagram* first_ = nullptr;
    Datagram* last_ = nullptr;
    std::size_t queued_bytes_ = 0;
    Errno error_{};  // of the next send, receive or SO_ERROR
    bool is_bound_ = false;
    bool reading_is_shut_ = false;
};

}  // namespace shoal::guest::net
