// The socket families that there are: how socket(2) and socketpair(2) make a socket of each.
#pragma once

#include <utility>

#include "guest/kernel/fs/file_system.h"
#include "guest/kernel/net/netlink_answers.h"
#include "guest/kernel/net/socket.h"

namespace shoal::guest {

struct SocketKind {
    std::uint16_t family = 0;
    SocketType type = SocketType::stream;
    std::uint32_t protocol = 0;
};

using SocketPair = std::pair<SocketRef, SocketRef>;

struct SocketFamily {
    std::uint16_t number;
    // Errno::protonosupport, prototype, socktnosupport, nomem. The caller has checked the family.
    Result<SocketRef> (*make)(FileSystem& file_system, const SocketKind& kind);
    // nullptr: the family has no pairs.
    Result<SocketPair> (*make_pair)(FileSystem& file_system, const SocketKind& kind);
};

// nullptr when there is no such family.
[[nodiscard]] const SocketFamily* find_socket_family(std::uint16_t number) noexcept;

// Which there are, the loopback interface first.
[[nodiscard]] std::vector<NetInterface> network_interfaces();

// The machine's address in AF_VSOCK; VMADDR_CID_ANY without a device.
[[nodiscard]] std::uint32_t local_vsock_cid();

}  // namespace shoal::guest
