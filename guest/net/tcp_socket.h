// TcpSocket: SOCK_STREAM of AF_INET and AF_INET6 over one of lwIP's TCP connections.
//
// lwIP frees a connection by itself after an error or a reset, and once both sides have closed:
// then pcb_ is nullptr, and what the socket still tells it remembers.
#pragma once

#include <lwip/tcp.h>

#include <memory>

#include "guest/net/inet_socket.h"
#include "guest/net/pbuf_queue.h"
#include "guest/net/send_buffer.h"

namespace shoal::guest::net {

class TcpSocket final : public InetSocket {
public:
    TcpSocket(FileSystem& file_system, const SocketKind& kind) noexcept
        : InetSocket{file_system, kind} {}
    ~TcpSocket() override;

    Result<void> bind(const SocketAddress& address) override;
    Result<void> listen(std::uint32_t backlog) override;
    Result<SocketRef> accept(SocketAddress& peer) override;
    Result<void> connect(const SocketAddress& address) override;
    void note_connect_told() noexcept override { is_connect_told_ = true; }
    Result<std::size_t> send(OutgoingMessage& message) override;
    Result<std::size_t> receive(IncomingMessage& message) override;
    Result<void> shutdown(Shutdown how) override;
    Result<SocketAddress> local_address() const override;
    Result<SocketAddress> peer_address() const override;
    Result<void> set_option(SocketOption option, std::span<const std::byte> value) override;
    Result<std::size_t> get_option(SocketOption option, std::span<std::byte> value) const override;
    [[nodiscard]] Errno take_error() noexcept override;
    [[nodiscard]] bool is_listening() const noexcept override { return state_ == State::listening; }
    [[nodiscard]] Readiness readiness(const OpenFile& file) const override;
    [[nodiscard]] std::size_t waiting_bytes() const noexcept override {
        return received_.size_bytes();
    }
    [[nodiscard]] std::size_t outgoing_bytes() const noexcept override {
        return unacknowledged_ ? unacknowledged_->size_bytes() : 0;
    }

private:
    enum class State { idle, listening, connecting, connected, ended };

    // What lwIP calls, with the socket as argument. A connection that outlives its socket has none.
    static err_t on_connected(void* socket, tcp_pcb* pcb, err_t error);
    static err_t on_accepted(void* socket, tcp_pcb* pcb, err_t error);
    static err_t on_received(void* socket, tcp_pcb* pcb, pbuf* data, err_t error);
    static err_t on_sent(void* socket, tcp_pcb* pcb, u16_t count);
    static void on_error(void* socket, err_t error);

    [[nodiscard]] Result<void> ensure_pcb();
    void attach(tcp_pcb* pcb);
    void detach();
    void close_connection();
    void remember_addresses() noexcept;
    [[nodiscard]] ip_pcb* common() const noexcept override;
    [[nodiscard]] std::int32_t send_buffer_bytes() const noexcept override { return TCP_SND_BUF; }
    [[nodiscard]] std::int32_t receive_buffer_bytes() const noexcept override { return TCP_WND; }
    [[nodiscard]] std::size_t send_room() const noexcept;
    [[nodiscard]] Result<std::size_t> take_bytes(OutgoingMessage& message);
    [[nodiscard]] Result<void> check_sendable();
    void acknowledge_reading(std::size_t count);
    [[nodiscard]] tcp_pcb* listener_to_share() const noexcept;
    void join(tcp_pcb* listener);
    [[nodiscard]] bool leave_listeners() noexcept;
    void share_backlog() noexcept;
    [[nodiscard]] Result<void> set_tcp_option(std::uint32_t name, std::span<const std::byte> value);
    void apply_tcp_options() noexcept;

    tcp_pcb* pcb_ = nullptr;
    State state_ = State::idle;
    Errno error_ = Errno{};
    bool is_bound_ = false;
    bool is_connect_told_ = true;
    bool peer_has_closed_ = false;
    bool reading_is_shut_ = false;
    bool writing_is_shut_ = false;
    bool owes_end_ = false;  // shut, and lwIP does not have all bytes yet
    bool no_delay_ = false;
    bool aborts_on_close_ = false;  // SO_LINGER with no time
    std::uint32_t keep_idle_s_ = 7200;
    std::uint32_t keep_interval_s_ = 75;
    std::uint32_t keep_count_ = 9;
    Endpoint local_{};
    Endpoint peer_{};
    PbufQueue received_;
    std::unique_ptr<SendBuffer> unacknowledged_;
    // Sockets that listen at one address (SO_REUSEPORT) have one listener of lwIP's, whose argument
    // is the one that gets the next connection: a ring, as a rule of one.
    TcpSocket* next_listener_ = this;
    std::uint8_t backlog_ = 0;
    // Connections that wait for accept(), of a socket that listens: a list in order.
    Ref<TcpSocket> first_accepted_{};
    TcpSocket* last_accepted_ = nullptr;
    Ref<TcpSocket> next_accepted_{};
};

}  // namespace shoal::guest::net
