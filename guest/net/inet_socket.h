// InetSocket: what TCP and UDP sockets of both families share: options that lwIP keeps for both,
// and addresses.
#pragma once

#include <lwip/ip.h>

#include "guest/kernel/fs/file_system.h"
#include "guest/kernel/net/families.h"
#include "guest/kernel/net/socket.h"
#include "guest/net/addresses.h"
#include "guest/net/net.h"
#include "guest/net/network.h"

namespace shoal::guest::net {

class InetSocket : public Socket {
public:
    InetSocket(FileSystem& file_system, const SocketKind& kind) noexcept
        : Socket{kind.family, kind.type, kind.protocol}, file_system_{file_system} {}

    Result<void> set_option(SocketOption option, std::span<const std::byte> value) override;
    Result<std::size_t> get_option(SocketOption option, std::span<std::byte> value) const override;

protected:
    enum class V6Only { no, yes };

    // lwIP's part of the socket that all protocols have; nullptr while there is none.
    [[nodiscard]] virtual ip_pcb* common() const noexcept = 0;
    // The sizes that SO_SNDBUF and SO_RCVBUF tell. They cannot be changed.
    [[nodiscard]] virtual std::int32_t send_buffer_bytes() const noexcept = 0;
    [[nodiscard]] virtual std::int32_t receive_buffer_bytes() const noexcept = 0;

    [[nodiscard]] FileSystem& file_system() const noexcept { return file_system_; }
    // Options that lwIP keeps with each pcb, for those that are made later.
    void apply_options() noexcept;
    void inherit_options(const InetSocket& parent) noexcept;
    [[nodiscard]] bool reuses_port() const noexcept { return reuses_port_; }

    // The kind of addresses that lwIP's part of the socket has.
    [[nodiscard]] std::uint8_t address_type() const noexcept;
    // Checks an address to bind to, with "any" as this socket means it. Errno::addrnotavail.
    [[nodiscard]] Result<Endpoint> endpoint_to_bind(const SocketAddress& address) const;
    // An address to send to, or to connect to: "any" is the machine itself, as on Linux.
    [[nodiscard]] Result<Endpoint> endpoint_to_reach(const SocketAddress& address) const;

private:
    [[nodiscard]] Result<void> set_flag(std::uint8_t flag, std::span<const std::byte> value);

    FileSystem& file_system_;
    std::uint8_t options_ = 0;       // SOF_...
    std::uint8_t time_to_live_ = 0;  // 0: lwIP's
    std::uint8_t type_of_service_ = 0;
    V6Only v6_only_ = V6Only::no;
    bool reuses_port_ = false;
};

}  // namespace shoal::guest::net
