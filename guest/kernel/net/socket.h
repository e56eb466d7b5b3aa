// Socket: what socket(2) makes. Every family's sockets are classes that derive from it.
//
// No call here waits: what would block fails with Errno::again, and the system call (sockets.cpp)
// tries again when wait_queue() is woken, unless the file is O_NONBLOCK. read(2) and write(2) on a
// socket are receive() and send() without flags. A Destination or Source that fails is
// Errno::fault. One vCPU: no locks.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guest/kernel/fs/inode.h"
#include "guest/kernel/fs/open_file.h"
#include "guest/kernel/net/socket_address.h"
#include "guest/kernel/sched/wait_queue.h"

namespace shoal::guest {

enum class SocketType : std::uint32_t { stream = 1, datagram = 2, raw = 3, sequenced = 5 };

// Flags of send(2) and recv(2) that a family may have to know (<bits/socket.h>). MSG_DONTWAIT,
// MSG_NOSIGNAL and MSG_WAITALL are the system calls' own business.
namespace message_flags {
inline constexpr std::uint32_t out_of_band = 0x1;
inline constexpr std::uint32_t peek = 0x2;
inline constexpr std::uint32_t control_truncated = 0x8;
inline constexpr std::uint32_t truncated = 0x20;
inline constexpr std::uint32_t do_not_wait = 0x40;
inline constexpr std::uint32_t end_of_record = 0x80;
inline constexpr std::uint32_t wait_all = 0x100;
inline constexpr std::uint32_t no_signal = 0x4000;
inline constexpr std::uint32_t more = 0x8000;
inline constexpr std::uint32_t wait_for_one = 0x10000;
inline constexpr std::uint32_t close_on_exec = 0x40000000;
}  // namespace message_flags

// struct ucred: who a peer is.
struct Credentials {
    std::uint32_t pid = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};
[[nodiscard]] Credentials own_credentials() noexcept;  // the caller's. By the kernel; user: root
inline constexpr Credentials no_credentials{0, ~0U, ~0U};

// What goes out with one send().
struct OutgoingMessage {
    Source& data;
    std::size_t size = 0;
    std::uint32_t flags = 0;
    const SocketAddress* to = nullptr;  // nullptr: the peer that it is connected to
    std::vector<OpenFileRef> files{};   // SCM_RIGHTS, AF_UNIX only
};

// What one receive() brings.
struct IncomingMessage {
    Destination& data;
    std::size_t size = 0;  // room
    std::uint32_t flags = 0;
    // Filled by receive():
    SocketAddress from{};            // stays empty where the peer is known or has no name
    std::uint32_t result_flags = 0;  // message_flags::truncated, ...
    std::vector<OpenFileRef> files{};
    std::optional<Credentials> credentials{};  // SCM_CREDENTIALS, if SO_PASSCRED asks for them
};

enum class Shutdown : std::uint32_t { read = 0, write = 1, both = 2 };

// An option's name: level and number as in setsockopt(2).
struct SocketOption {
    std::uint32_t level = 0;
    std::uint32_t name = 0;
};

class Socket : public Inode {
public:
    Socket(std::uint16_t family, SocketType type, std::uint32_t protocol) noexcept
        : Inode{FileType::socket, 0777}, family_{family}, type_{type}, protocol_{protocol} {
        attributes.link_count = 1;
    }

    [[nodiscard]] std::uint16_t family() const noexcept { return family_; }
    [[nodiscard]] SocketType socket_type() const noexcept { return type_; }
    [[nodiscard]] std::uint32_t protocol() const noexcept { return protocol_; }

    // What a family does not have fails with Errno::opnotsupp.
    [[nodiscard]] virtual Result<void> bind(const SocketAddress& address);
    [[nodiscard]] virtual Result<void> listen(std::uint32_t backlog);
    // The next connection. Errno::again when there is none yet. `peer` is filled.
    [[nodiscard]] virtual Result<Ref<Socket>> accept(SocketAddress& peer);
    // Starts to connect: Errno::inprogress when it will take time; it has taken place, or failed,
    // when the socket is writable, and take_error() says which. Errno::already, Errno::isconn.
    [[nodiscard]] virtual Result<void> connect(const SocketAddress& address);
    // A call that waited tells its program of the success: a later connect() need not.
    virtual void note_connect_told() noexcept {}
    // How many bytes were taken, at least one unless the message is empty.
    [[nodiscard]] virtual Result<std::size_t> send(OutgoingMessage& message);
    // How many bytes came (of a datagram with MSG_TRUNC: how many it had); 0 at the end.
    [[nodiscard]] virtual Result<std::size_t> receive(IncomingMessage& message);
    [[nodiscard]] virtual Result<void> shutdown(Shutdown how);
    [[nodiscard]] virtual Result<SocketAddress> local_address() const;
    [[nodiscard]] virtual Result<SocketAddress> peer_address() const;

    // Options of the family. Errno::noprotoopt for what it does not know. `value` is what the
    // program gave, at most option_bytes_max; the result is the option's value. Those of SOL_SOCKET
    // that all sockets share are not asked for here.
    static constexpr std::size_t option_bytes_max = 256;
    [[nodiscard]] virtual Result<void> set_option(SocketOption option,
                                                  std::span<const std::byte> value);
    [[nodiscard]] virtual Result<std::size_t> get_option(SocketOption option,
                                                         std::span<std::byte> value) const;
    // SO_ERROR: what went wrong since it was asked last; Errno{} if nothing did.
    [[nodiscard]] virtual Errno take_error() noexcept { return Errno{}; }
    [[nodiscard]] virtual bool is_listening() const noexcept { return false; }
    // SIOCOUTQ: bytes that were sent and that the peer has not acknowledged.
    [[nodiscard]] virtual std::size_t outgoing_bytes() const noexcept { return 0; }

    // SO_RCVTIMEO and SO_SNDTIMEO; 0 is no limit.
    std::uint64_t receive_timeout_ns = 0;
    std::uint64_t send_timeout_ns = 0;

    Result<std::size_t> read(OpenFile& file, std::uint64_t offset, Destination& to,
                             std::size_t count) final;
    Result<std::size_t> write(OpenFile& file, std::uint64_t offset, Source& from,
                              std::size_t count) final;
    [[nodiscard]] Seek seek() const noexcept final { return Seek::refused; }
    [[nodiscard]] WaitQueue* wait_queue(const OpenFile&) noexcept override { return &waiters_; }
    [[nodiscard]] Socket* as_socket() noexcept final { return this; }

protected:
    // Woken whenever readiness() may have changed.
    [[nodiscard]] WaitQueue& waiters() noexcept { return waiters_; }

private:
    std::uint16_t family_;
    SocketType type_;
    std::uint32_t protocol_;
    WaitQueue waiters_;
};

using SocketRef = Ref<Socket>;

}  // namespace shoal::guest
