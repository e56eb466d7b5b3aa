// VsockAddress: a struct sockaddr_vm (vsock(7)).
#pragma once

#include <array>
#include <cstdint>

#include "guest/kernel/errno.h"
#include "guest/kernel/net/socket_address.h"

namespace shoal::guest {

struct VsockAddress {
    static constexpr std::uint32_t any = ~0U;  // VMADDR_CID_ANY and VMADDR_PORT_ANY
    static constexpr std::uint32_t host = 2;   // VMADDR_CID_HOST

    std::uint16_t family = address_family::vsock;
    std::uint16_t reserved = 0;
    std::uint32_t port = any;
    std::uint32_t cid = any;
    std::array<std::uint8_t, 4> flags_and_zeros{};

    // Fails as Linux does: Errno::fault, afnosupport, inval.
    [[nodiscard]] static Result<VsockAddress> parse(const SocketAddress& address) {
        if (address.size < sizeof(VsockAddress)) {
            return fail(Errno::fault);
        }
        const auto parsed = address.as<VsockAddress>();
        if (parsed.family != address_family::vsock) {
            return fail(Errno::afnosupport);
        }
        return parsed.reserved == 0 ? Result<VsockAddress>{parsed} : fail(Errno::inval);
    }
};
static_assert(sizeof(VsockAddress) == 16);

}  // namespace shoal::guest
