// /etc/resolv.conf, for programs that look names up.
#pragma once

#include "guest/kernel/boot/command_line.h"
#include "guest/kernel/fs/file_system.h"

namespace shoal::guest {

// Lets it be a link to /proc/net/pnp where ip= names servers; and where DHCP may, unless the root
// has one with a server that can be reached from here: not the loopback address of a host's own
// resolver. Without memory there is none.
void provide_name_servers(FileSystem& files, const CommandLine& command_line);

}  // namespace shoal::guest
