// What the system calls about sockets share: descriptors, addresses in the program's memory, and
// waiting.
#pragma once

#include "guest/kernel/clock.h"
#include "guest/kernel/net/socket.h"
#include "guest/kernel/syscalls/files_support.h"
#include "guest/kernel/syscalls/sockets.h"
#include "guest/kernel/thread_signals.h"

namespace shoal::guest::sockets {

// An open socket: the file that a descriptor refers to, and what it is. Holds a reference, since
// the descriptor may be closed while its call waits.
struct OpenSocket {
    OpenFileRef file{};
    Socket* socket = nullptr;
};

// Errno::badf, Errno::notsock.
[[nodiscard]] Result<OpenSocket> find_socket(const FileContext& context, std::uint64_t descriptor);

// A descriptor for a new socket. `flags`: SOCK_NONBLOCK and SOCK_CLOEXEC, which are those of open.
[[nodiscard]] Result<std::uint32_t> add_socket(FileContext& context, const SocketRef& socket,
                                               std::uint32_t flags);

// Errno::inval for a size that cannot be, Errno::fault.
[[nodiscard]] Result<SocketAddress> fetch_address(const FileContext& context, UserAddress address,
                                                  std::uint64_t size);
// Stores as much as the program has room for, and the whole size. Nothing when `to` is 0.
[[nodiscard]] Result<void> store_address(const SocketAddress& address, UserAddress to,
                                         UserAddress size_at);

// An ioctl on a socket that asks for interfaces (net/interface_requests.h).
[[nodiscard]] std::int64_t interface_request(std::uint32_t call, UserAddress argument);

enum class Patience { none, as_long_as_it_takes };

// Whether a call with these flags of send(2) or recv(2) waits.
[[nodiscard]] Patience patience_of(const OpenFile& file, std::uint32_t flags);

// When a wait of at most `timeout_ns` (0: without end) is over.
[[nodiscard]] std::uint64_t deadline_in(std::uint64_t timeout_ns);

// Calls `attempt`, which returns a Result, until it does not fail with Errno::again, the deadline
// has passed (Errno::again) or a signal came (Errno::intr).
template <class Attempt>
auto wait_for(const OpenSocket& open, Patience patience, std::uint64_t timeout_ns,
              const Attempt& attempt) {
    auto result = attempt();
    const auto is_done = [&] { return result.has_value() || result.error() != Errno::again; };
    WaitQueue* queue = open.socket->wait_queue(*open.file);
    if (is_done() || patience == Patience::none || queue == nullptr) {
        return result;
    }
    const Wake wake = wait_until_true(*queue, deadline_in(timeout_ns), [&] {
        result = attempt();
        return is_done();
    });
    if (wake == Wake::interrupted) {
        if (timeout_ns != 0) {
            call_is_not_restarted();
        }
        result = fail(Errno::intr);
    }
    return result;
}

}  // namespace shoal::guest::sockets
