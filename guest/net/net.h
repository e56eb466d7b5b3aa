// What the kernel knows of its network: no more than this.
#pragma once

#include <span>

#include "guest/drivers/virtio_mmio.h"
#include "guest/kernel/boot/command_line.h"
#include "guest/kernel/boot/ip_word.h"
#include "guest/kernel/net/families.h"
#include "guest/kernel/net/netlink_answers.h"

namespace shoal::guest::net {

// The devices and addresses that there are. At boot; `command_line` lives for ever. Costs nothing:
// the network is made when the program asks for its first socket.
void configure(const CommandLine& command_line, std::span<const VirtioMmioDevice> devices);

// socket(2) of AF_INET and AF_INET6.
[[nodiscard]] Result<SocketRef> make_inet_socket(FileSystem& file_system, const SocketKind& kind);

// The network's, as ip= names them or DHCP has offered them; makes the network.
[[nodiscard]] std::vector<Ipv4Bytes> name_servers();

// For network_interfaces().
[[nodiscard]] std::vector<NetInterface> interfaces();

// When the program has ended and its files are closed: returns when its last bytes have reached
// their peers, or after a second.
void drain();

}  // namespace shoal::guest::net
