// NetlinkSocket: a NETLINK_ROUTE socket (netlink(7)): requests are answered at once, and the
// answers wait for their reader. There are no notifications: nothing changes.
#pragma once

#include <deque>

#include "guest/kernel/fs/file_system.h"
#include "guest/kernel/net/families.h"
#include "guest/kernel/net/socket.h"

namespace shoal::guest {

class NetlinkSocket final : public Socket {
public:
    static constexpr std::size_t request_bytes_max = 8192;  // of one send
    static constexpr std::size_t answers_max = 64;          // that wait; more fail with ENOBUFS

    NetlinkSocket(SocketType type, std::uint32_t port) noexcept
        : Socket{address_family::netlink, type, 0}, port_{port} {}

    // socket(2): for the table of families.
    [[nodiscard]] static Result<SocketRef> make(FileSystem& file_system, const SocketKind& kind);

    Result<void> bind(const SocketAddress& address) override;
    Result<void> connect(const SocketAddress& address) override;
    Result<std::size_t> send(OutgoingMessage& message) override;
    Result<std::size_t> receive(IncomingMessage& message) override;
    [[nodiscard]] Result<SocketAddress> local_address() const override;
    Result<void> set_option(SocketOption option, std::span<const std::byte> value) override;
    [[nodiscard]] Readiness readiness(const OpenFile& file) const override;

private:
    std::uint32_t port_;
    std::deque<std::vector<std::byte>> answers_{};
};

}  // namespace shoal::guest
