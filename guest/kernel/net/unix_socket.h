// UnixSocket: unix(7), between sockets of this microVM. Stream, datagram and sequenced packets.
//
// A socket is bound by an abstract name or by a node in the file system. What is sent lies with
// the receiver, whose buffer is the limit. Everybody is process 1 and root.
#pragma once

#include "guest/kernel/fs/file_system.h"
#include "guest/kernel/net/families.h"
#include "guest/kernel/net/socket.h"
#include "guest/kernel/net/unix_packets.h"

namespace shoal::guest {

class UnixSocket final : public Socket {
public:
    static constexpr std::size_t buffer_bytes = 212992;  // net.core.wmem_default
    static constexpr std::size_t backlog_max = 4096;     // net.core.somaxconn

    UnixSocket(FileSystem& file_system, SocketType type) noexcept
        : Socket{address_family::local, type, 0}, file_system_{file_system} {}

    // socket(2) and socketpair(2): for the table of families.
    [[nodiscard]] static Result<SocketRef> make(FileSystem& file_system, const SocketKind& kind);
    [[nodiscard]] static Result<SocketPair> make_pair(FileSystem& file_system,
                                                      const SocketKind& kind);

    Result<void> bind(const SocketAddress& address) override;
    Result<void> listen(std::uint32_t backlog) override;
    Result<SocketRef> accept(SocketAddress& peer) override;
    // Errno::again while the listener's backlog is full.
    Result<void> connect(const SocketAddress& address) override;
    Result<std::size_t> send(OutgoingMessage& message) override;
    Result<std::size_t> receive(IncomingMessage& message) override;
    Result<void> shutdown(Shutdown how) override;
    [[nodiscard]] Result<SocketAddress> local_address() const override;
    [[nodiscard]] Result<SocketAddress> peer_address() const override;
    Result<void> set_option(SocketOption option, std::span<const std::byte> value) override;
    Result<std::size_t> get_option(SocketOption option, std::span<std::byte> value) const override;
    [[nodiscard]] Errno take_error() noexcept override { return std::exchange(error_, Errno{}); }
    [[nodiscard]] bool is_listening() const noexcept override { return state_ == State::listening; }

    void closed(OpenFile& file) noexcept override;
    [[nodiscard]] Readiness readiness(const OpenFile& file) const override;
    [[nodiscard]] std::size_t waiting_bytes() const noexcept override {
        return packets_.byte_count();
    }

protected:
    ~UnixSocket() override;

private:
    enum class State { unconnected, listening, connected, closed };
    // A sender without room waits in its receiver's queue by this.
    class RoomListener final : public WakeListener {
    public:
        explicit RoomListener(UnixSocket& socket) noexcept : socket_{socket} {}

    private:
        void on_wake() noexcept override { socket_.waiters().wake_all(); }
        UnixSocket& socket_;
    };

    [[nodiscard]] bool is_datagram() const noexcept {
        return socket_type() == SocketType::datagram;
    }
    [[nodiscard]] bool has_room() const noexcept { return packets_.charge() < buffer_bytes; }
    // As Linux: more than a moment's worth.
    [[nodiscard]] bool has_much_room() const noexcept {
        return packets_.charge() <= buffer_bytes / 4;
    }
    [[nodiscard]] Entry& start_of(const SocketAddress& address) const noexcept;
    static void join(UnixSocket& one, UnixSocket& other) noexcept;
    [[nodiscard]] Result<Ref<UnixSocket>> find_bound(const SocketAddress& address) const;
    [[nodiscard]] Result<void> connect_to_listener(UnixSocket& listener);
    [[nodiscard]] Result<Ref<UnixSocket>> receiver_of(const OutgoingMessage& message);
    [[nodiscard]] Result<void> put_packet(UnixSocket& to, OutgoingMessage& message,
                                          std::size_t size);
    [[nodiscard]] Result<std::size_t> receive_stream(IncomingMessage& message);
    [[nodiscard]] Result<std::size_t> receive_packet(IncomingMessage& message);
    [[nodiscard]] Result<std::size_t> nothing_to_receive();
    void tell_room(bool had_much_room) noexcept;
    void hang_up() noexcept;
    void unbind() noexcept;

    FileSystem& file_system_;
    State state_ = State::unconnected;
    bool no_more_reads_ = false;
    bool no_more_writes_ = false;
    bool passes_credentials_ = false;
    Errno error_{};
    UnixAddress address_{};
    InodeRef node_{};                   // of a path
    UnixSocket* next_bound_ = nullptr;  // in the list of all that have an address
    Ref<UnixSocket> peer_{};
    UnixAddress peer_name_{};
    Credentials owner_{own_credentials()};  // who made it, listened or connected
    Credentials peer_credentials_{};        // of its peer, as they were
    UnixPackets packets_{};
    WaitQueue room_waiters_{};
    RoomListener room_listener_{*this};
    WaitPlace room_place_{};
    std::vector<Ref<UnixSocket>> backlog_{};
    std::size_t backlog_limit_ = 0;
};

}  // namespace shoal::guest
