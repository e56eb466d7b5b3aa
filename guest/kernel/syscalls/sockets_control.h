// Control messages of sendmsg and recvmsg (cmsg(3)): descriptors and credentials.
#pragma once

#include <vector>

#include "guest/kernel/net/socket.h"
#include "guest/kernel/syscalls/files_support.h"

namespace shoal::guest::sockets {

// The program's buffer of control messages.
struct ControlBuffer {
    UserAddress address = 0;
    std::uint64_t size = 0;
};

// The files of SCM_RIGHTS. SCM_CREDENTIALS says nothing that is not known; other levels are not
// for us. Errno::inval, Errno::badf, Errno::fault.
[[nodiscard]] Result<std::vector<OpenFileRef>> fetch_control(const FileContext& context,
                                                             const ControlBuffer& from);

// Gives the message's files descriptors and stores them, and its credentials. Returns how many
// bytes it stored; what has no room is closed and message_flags::control_truncated set.
// Errno::fault.
[[nodiscard]] Result<std::uint64_t> store_control(FileContext& context, IncomingMessage& message,
                                                  const ControlBuffer& to);

}  // namespace shoal::guest::sockets
