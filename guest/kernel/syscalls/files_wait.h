// Waiting for files: what reading, writing, poll, select and epoll share.
//
// Other threads run during a wait, and may close any descriptor: whoever waits holds a reference to
// the open file, which keeps its queue alive.
#pragma once

#include <memory>

#include "guest/kernel/clock.h"
#include "guest/kernel/net/socket.h"
#include "guest/kernel/sched/wait_queue.h"
#include "guest/kernel/syscalls/files_support.h"
#include "guest/kernel/thread_signals.h"

namespace shoal::guest::files {

inline constexpr std::uint64_t second_ns = 1'000'000'000;

// no_deadline stays what it is.
[[nodiscard]] inline std::uint64_t deadline_after(std::uint64_t timeout_ns) {
    std::uint64_t deadline = no_deadline;
    return __builtin_add_overflow(monotonic_ns(), timeout_ns, &deadline) ? no_deadline : deadline;
}

// The struct timespec or timeval at `address`, in nanoseconds; without one no_deadline. Units per
// second: of its second field. Errno::fault, Errno::inval.
[[nodiscard]] Result<std::uint64_t> fetch_timeout(UserAddress address,
                                                  std::uint64_t units_per_second);

// A timeout as the program gave it. select, pselect6 and ppoll store there what is left of it.
class Timeout {
public:
    explicit Timeout(std::uint64_t timeout_ns) noexcept
        : timeout_ns_{timeout_ns}, deadline_{timeout_ns == 0 ? 0 : deadline_after(timeout_ns)} {}

    [[nodiscard]] std::uint64_t deadline_ns() const noexcept { return deadline_; }
    // A bad address does not change what the call returns, as on Linux.
    void store_rest(UserAddress at, std::uint64_t units_per_second) const {
        if (at == 0 || timeout_ns_ == 0) {
            return;
        }
        const std::uint64_t now = monotonic_ns();
        const std::uint64_t rest = deadline_ > now ? deadline_ - now : 0;
        const TimeSpec time{
            static_cast<std::int64_t>(rest / second_ns),
            static_cast<std::int64_t>(rest % second_ns / (second_ns / units_per_second))};
        static_cast<void>(store(at, time));
    }

private:
    std::uint64_t timeout_ns_;
    std::uint64_t deadline_;
};

// The sigmask argument of a call: blocks these signals until the call returns. Nothing happens
// without one. Errno::inval, Errno::fault.
[[nodiscard]] Result<void> set_mask(UserAddress mask, std::uint64_t size_bytes);
// The end of such a call.
[[nodiscard]] std::int64_t with_mask_restored(std::int64_t result);

enum class Transfer { read, write };

// How long a blocking transfer may wait: SO_RCVTIMEO and SO_SNDTIMEO of a socket.
[[nodiscard]] inline std::uint64_t timeout_of(Inode& inode, Transfer transfer) {
    const Socket* socket = inode.as_socket();
    const std::uint64_t timeout_ns = socket == nullptr            ? 0
                                     : transfer == Transfer::read ? socket->receive_timeout_ns
                                                                  : socket->send_timeout_ns;
    return timeout_ns == 0 ? no_deadline : timeout_ns;
}

// Whether a blocking write to the file goes on until all is written: byte streams. Others take what
// they take at once.
[[nodiscard]] inline bool writes_go_on(OpenFile& file) {
    const Socket* socket = file.inode().as_socket();
    const bool is_stream = file.inode().as_pipe() != nullptr ||
                           (socket != nullptr && socket->socket_type() == SocketType::stream);
    return is_stream && !file.has(open_flags::nonblock);
}

// Tries `attempt`, which returns a Result, until it fails with anything but Errno::again. An
// O_NONBLOCK file is tried once. Errno::intr.
template <class Attempt>
[[nodiscard]] auto retry_until_ready(OpenFile& file, Transfer transfer, const Attempt& attempt) {
    auto done = attempt();
    const auto must_wait = [&] { return !done && done.error() == Errno::again; };
    if (!must_wait() || file.has(open_flags::nonblock)) {
        return done;
    }
    WaitQueue* queue = file.inode().wait_queue(file);
    if (queue == nullptr) {
        return done;
    }
    const std::uint64_t timeout_ns = timeout_of(file.inode(), transfer);
    const std::uint64_t deadline =
        timeout_ns == no_deadline ? no_deadline : deadline_after(timeout_ns);
    const Wake wake = wait_until_true(*queue, deadline, [&] {
        done = attempt();
        return !must_wait();
    });
    if (wake == Wake::interrupted) {
        if (deadline != no_deadline) {
            call_is_not_restarted();
        }
        done = fail(Errno::intr);
    }
    return done;
}

// Several files that are waited for at once.
class FileWait {
public:
    // Room for `capacity` files. Errno::nomem.
    [[nodiscard]] Result<void> reserve(std::size_t capacity);
    // At most as often as there is room. A file whose readiness never changes is not waited for.
    void add(OpenFileRef file) noexcept;

    // Waits until `look()` returns anything but 0, the deadline (then its last result, 0), or a
    // signal: -EINTR.
    template <class Look>
    [[nodiscard]] std::int64_t wait(std::uint64_t deadline_ns, const Look& look) {
        while (true) {
            const std::int64_t found = look();
            if (found != 0) {
                return found;
            }
            if (const Wake wake = waiter_.wait(deadline_ns); wake != Wake::woken) {
                const std::int64_t last = look();
                return last == 0 && wake == Wake::interrupted ? negative(Errno::intr) : last;
            }
        }
    }

private:
    struct Watched {
        OpenFileRef file{};
        WaitPlace place{};  // left before the file goes
    };

    Waiter waiter_{};
    std::unique_ptr<Watched[]> watched_{};
    std::size_t count_ = 0;
};

// look()s, and if there is nothing yet joins the queues and looks again and again.
template <class Watched>
[[nodiscard]] std::int64_t wait_until_found(Watched& watched, std::uint64_t deadline_ns) {
    const std::int64_t found = watched.look();
    if (found != 0 || deadline_ns == 0) {
        return found;
    }
    FileWait wait;
    if (const auto joined = watched.join(wait); !joined) {
        return negative(joined.error());
    }
    return wait.wait(deadline_ns, [&] { return watched.look(); });
}

}  // namespace shoal::guest::files
