// Fuzzes the system calls about files, events and unix sockets: a program that makes any calls with
// any arguments, while nobody else runs.
#include <algorithm>
#include <iterator>

#include "guest/kernel/syscalls/files.h"
#include "guest/kernel/syscalls/sockets.h"
#include "tests/fuzz/input.h"
#include "tests/unit/guest/kernel/fs/fake_kernel.cpp"
#include "tests/unit/guest/kernel/net/fake_families.cpp"
#include "tests/unit/guest/kernel/sched/fake_scheduler.cpp"

namespace {

using namespace shoal::guest;

constexpr FileCall* calls[] = {
    sys_read,
    sys_write,
    sys_readv,
    sys_writev,
    sys_pread64,
    sys_pwrite64,
    sys_lseek,
    sys_sendfile,
    sys_splice,
    sys_tee,
    sys_vmsplice,
    sys_open,
    sys_close,
    sys_pipe2,
    sys_dup,
    sys_dup2,
    sys_fcntl,
    sys_ioctl,
    sys_poll,
    sys_ppoll,
    sys_select,
    sys_pselect6,
    sys_epoll_create1,
    sys_epoll_ctl,
    sys_epoll_wait,
    sys_epoll_pwait,
    sys_epoll_pwait2,
    sys_eventfd2,
    sys_timerfd_create,
    sys_timerfd_settime,
    sys_timerfd_gettime,
    sys_signalfd4,
    sys_inotify_init1,
    sys_inotify_add_watch,
    sys_memfd_create,
    sys_fstat,
    sys_unlink,
    sys_socket,
    sys_socketpair,
    sys_bind,
    sys_listen,
    sys_accept4,
    sys_connect,
    sys_sendto,
    sys_recvfrom,
    sys_sendmsg,
    sys_recvmsg,
    sys_shutdown,
    sys_getsockname,
    sys_getpeername,
    sys_setsockopt,
    sys_getsockopt,
};

// Mostly what calls can do something with: small numbers, and addresses of the program's memory,
// which holds the fuzzer's input.
std::uint64_t argument(shoal::fuzz::Input& input) {
    const auto value = input.take<std::uint16_t>();
    switch (input.take<std::uint8_t>() % 4) {
        case 0:
            return value % 16;
        case 1:
            return value;
        case 2:
            return fake::user_start + value;
        default:
            return std::uint64_t{value} << (value % 49);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fake::put_user(fake::user_start,
                   {reinterpret_cast<const char*>(data), std::min(size, 65536UL)});
    shoal::fuzz::Input input{data, size};
    test::pending_signals = test::blocked_signals = 0;
    fake::Kernel kernel;
    fake::pages_left = 1000;
    FileContext context{kernel.files, kernel.source.table, kernel.source,
                        EntryRef{&kernel.files.root()}};
    for (int count = 0; count < 64 && !input.empty(); ++count) {
        FileCall* call = calls[input.take<std::uint8_t>() % std::size(calls)];
        CallArguments args;
        std::ranges::generate(args, [&] { return argument(input); });
        call(context, args);
    }
    kernel.source.table.close_all();
    return 0;
}
