// VsockSocket: SOCK_STREAM of AF_VSOCK (vsock(7)), to and from the host over the socket device.
//
// Each connection holds up to VsockBuffer::capacity bytes that the program has not read, and tells
// the host so; how much it may send the host tells (virtio 1.2, 5.10.6.3).
#pragma once

#include <utility>
#include <vector>

#include "guest/drivers/vsock_packet.h"
#include "guest/kernel/fs/file_system.h"
#include "guest/kernel/net/families.h"
#include "guest/kernel/net/socket.h"
#include "guest/kernel/net/vsock_address.h"
#include "guest/kernel/net/vsock_buffer.h"

namespace shoal::guest {

class VsockSocket final : public Socket {
public:
    static constexpr std::size_t backlog_max = 128;

    explicit VsockSocket(FileSystem& file_system) noexcept
        : Socket{address_family::vsock, SocketType::stream, 0}, file_system_{file_system} {}

    // socket(2): for the table of families.
    [[nodiscard]] static Result<SocketRef> make(FileSystem& file_system, const SocketKind& kind);

    Result<void> bind(const SocketAddress& address) override;
    Result<void> listen(std::uint32_t backlog) override;
    Result<SocketRef> accept(SocketAddress& peer) override;
    Result<void> connect(const SocketAddress& address) override;
    Result<std::size_t> send(OutgoingMessage& message) override;
    Result<std::size_t> receive(IncomingMessage& message) override;
    Result<void> shutdown(Shutdown how) override;
    [[nodiscard]] Result<SocketAddress> local_address() const override;
    [[nodiscard]] Result<SocketAddress> peer_address() const override;
    Result<void> set_option(SocketOption option, std::span<const std::byte> value) override;
    [[nodiscard]] Errno take_error() noexcept override { return std::exchange(error_, Errno{}); }
    [[nodiscard]] bool is_listening() const noexcept override { return state_ == State::listening; }
    void closed(OpenFile& file) noexcept override;
    [[nodiscard]] Readiness readiness(const OpenFile& file) const override;
    [[nodiscard]] std::size_t waiting_bytes() const noexcept override { return received_.size(); }

    // For VsockTransport.
    [[nodiscard]] bool owns_port(std::uint32_t port) const noexcept {
        return owns_port_ && local_.port == port;
    }
    [[nodiscard]] bool is_connection(std::uint32_t port, std::uint32_t peer_port) const noexcept {
        return (state_ == State::connecting || state_ == State::connected) && local_.port == port &&
               peer_port_ == peer_port;
    }
    void on_packet(const VsockPacket& packet);
    // A request to a socket that listens. False: it is refused.
    [[nodiscard]] bool on_request(const abi::virtio::vsock::Header& request);
    void on_transport_reset();
    void on_room() noexcept { waiters().wake_all(); }

protected:
    ~VsockSocket() override;

private:
    using Operation = abi::virtio::vsock::Operation;
    // ended: the connection is gone, and perhaps not read to its end.
    enum class State { idle, listening, connecting, connected, ended };

    [[nodiscard]] Result<void> bind_to(std::uint32_t port);
    [[nodiscard]] abi::virtio::vsock::Header header_of(Operation op);
    void tell(Operation op, std::uint32_t flags = 0);
    void on_data(const VsockPacket& packet);
    void on_shutdown(std::uint32_t flags);
    void on_rst();
    void hang_up() noexcept;
    [[nodiscard]] Result<std::size_t> send_pieces(OutgoingMessage& message);
    [[nodiscard]] bool is_at_end() const noexcept;
    [[nodiscard]] bool is_write_shut() const noexcept;

    FileSystem& file_system_;
    State state_ = State::idle;
    Errno error_ = Errno{};
    VsockAddress local_{};
    std::uint32_t peer_port_ = VsockAddress::any;
    bool owns_port_ = false;  // an accepted socket has its listener's
    bool asked_for_credit_ = false;
    std::uint32_t shut_ = 0;       // abi::virtio::vsock::shutdown_flag
    std::uint32_t peer_shut_ = 0;  // the same
    VsockCredit credit_{VsockBuffer::capacity};
    VsockBuffer received_;
    std::size_t backlog_limit_ = 0;
    std::vector<Ref<VsockSocket>> backlog_{};
};

}  // namespace shoal::guest
