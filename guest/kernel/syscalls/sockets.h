// System calls about sockets, of every family. As files.h: the arguments as the program gave them,
// and a result that is -errno when the call failed. These wait where the call does.
//
// A result of -EPIPE from a call that sends means that SIGPIPE is due, unless MSG_NOSIGNAL was
// given: that is the caller's to look at.
#pragma once

#include "guest/kernel/syscalls/files.h"

namespace shoal::guest {

// Making and connecting
FileCall sys_socket;       // (family, type, protocol)
FileCall sys_socketpair;   // (family, type, protocol, descriptors)
FileCall sys_bind;         // (fd, address, size)
FileCall sys_listen;       // (fd, backlog)
FileCall sys_accept;       // (fd, address, size)
FileCall sys_accept4;      // (fd, address, size, flags)
FileCall sys_connect;      // (fd, address, size)
FileCall sys_shutdown;     // (fd, how)
FileCall sys_getsockname;  // (fd, address, size)
FileCall sys_getpeername;  // (fd, address, size)

// Messages
FileCall sys_sendto;    // (fd, buffer, size, flags, address, size)
FileCall sys_sendmsg;   // (fd, msghdr, flags)
FileCall sys_sendmmsg;  // (fd, mmsghdrs, count, flags)
FileCall sys_recvfrom;  // (fd, buffer, size, flags, address, size)
FileCall sys_recvmsg;   // (fd, msghdr, flags)
FileCall sys_recvmmsg;  // (fd, mmsghdrs, count, flags, timeout)

// Options
FileCall sys_setsockopt;  // (fd, level, name, value, size)
FileCall sys_getsockopt;  // (fd, level, name, value, size)

}  // namespace shoal::guest
