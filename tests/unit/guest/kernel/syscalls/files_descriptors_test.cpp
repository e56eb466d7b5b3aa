// Descriptors: dup, fcntl, ioctl, copies, and waiting.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string>

#include "guest/kernel/net/families.h"
#include "tests/unit/guest/kernel/sched/fake_scheduler.h"
#include "tests/unit/guest/kernel/syscalls/program.h"

namespace shoal::guest {
namespace {

using fake::bad;
using fake::buffer;
using fake::cwd;
using fake::Program;

TEST_CASE("descriptors are duplicated and flagged") {
    Program program;
    fake::put_file(program.kernel.files, "/f", "12345");
    const std::int64_t fd = program.open("/f", O_RDONLY | O_CLOEXEC);
    CHECK(program.call(sys_fcntl, fd, F_GETFD) == FD_CLOEXEC);
    CHECK(program.call(sys_dup, fd) == 4);
    CHECK(program.call(sys_fcntl, 4, F_GETFD) == 0);
    CHECK(program.read(fd, 2) == "12");
    CHECK(program.read(4, 2) == "34");
    CHECK(program.call(sys_dup2, fd, 10) == 10);
    CHECK(program.call(sys_dup2, fd, fd) == fd);
    CHECK(program.call(sys_dup2, 99, 99) == -EBADF);
    CHECK(program.call(sys_dup2, fd, -1) == -EBADF);
    CHECK(program.call(sys_dup3, fd, fd, 0) == -EINVAL);
    CHECK(program.call(sys_dup3, fd, 11, O_CLOEXEC) == 11);
    CHECK(program.call(sys_fcntl, 11, F_GETFD) == FD_CLOEXEC);
    CHECK(program.call(sys_fcntl, fd, F_DUPFD, 10) == 12);
    CHECK(program.call(sys_fcntl, fd, F_DUPFD, 1 << 30) == -EINVAL);
    CHECK(program.call(sys_fcntl, fd, F_SETFL, O_NONBLOCK | O_WRONLY) == 0);
    CHECK((program.call(sys_fcntl, 4, F_GETFL) & (O_NONBLOCK | O_ACCMODE)) == O_NONBLOCK);
    CHECK(program.call(sys_fcntl, fd, 4711) == -EINVAL);
    CHECK(program.call(sys_fcntl, 99, F_GETFD) == -EBADF);
    CHECK(program.call(sys_close_range, 4, ~0U, 0) == 0);
    CHECK(program.call(sys_fcntl, 12, F_GETFD) == -EBADF);
    CHECK(program.call(sys_close_range, 5, 4, 0) == -EINVAL);
    CHECK(program.call(sys_pipe2, buffer, O_CLOEXEC) == 0);
    CHECK(program.value<std::array<int, 2>>() == std::array{4, 5});
    CHECK(program.write(5, "through") == 7);
    CHECK(program.read(4, 100) == "through");
    CHECK(program.call(sys_pipe2, bad, 0) == -EFAULT);
    CHECK(program.call(sys_pipe, buffer) == 0);
    CHECK(program.value<std::array<int, 2>>() == std::array{6, 7});
    CHECK(program.call(sys_close, 6) == 0);
    CHECK(program.write(7, "x") == -EPIPE);
}

TEST_CASE("terminal requests work on terminals only") {
    Program program;
    CHECK(program.call(sys_ioctl, 1, TCGETS, buffer) == -ENOTTY);
    CHECK(program.call(sys_ioctl, 1, TIOCGWINSZ, buffer) == -ENOTTY);
    const std::int64_t null = program.open("/dev/null", O_RDWR);
    CHECK(program.call(sys_ioctl, null, TCGETS, buffer) == -ENOTTY);
    program.kernel.console.ttys = 7;
    CHECK(program.call(sys_ioctl, 1, TIOCGWINSZ, buffer) == 0);
    CHECK(program.value<struct winsize>().ws_col == 132);
    CHECK(program.call(sys_ioctl, 1, TCGETS, buffer) == 0);
    std::array<std::uint32_t, 9> settings = program.value<std::array<std::uint32_t, 9>>();
    CHECK((settings[3] & 8) != 0);  // ECHO
    settings[3] &= ~8U;
    program.set(buffer, settings);
    CHECK(program.call(sys_ioctl, 1, TCSETS, buffer) == 0);
    program.set(buffer, std::array<std::uint32_t, 9>{});
    CHECK(program.call(sys_ioctl, 1, TCGETS, buffer) == 0);
    CHECK(program.value<std::array<std::uint32_t, 9>>() == settings);
    CHECK(program.call(sys_ioctl, 1, TCGETS, bad) == -EFAULT);
    CHECK(program.call(sys_ioctl, 1, 0x1234, buffer) == -ENOTTY);
}

TEST_CASE("/dev/vsock tells the machine's address, and nothing else") {
    constexpr std::uint64_t get_local_cid = 0x7B9;
    Program program;
    const std::int64_t file = program.open("/dev/vsock", O_RDONLY);
    REQUIRE(file >= 0);
    CHECK(program.call(sys_ioctl, file, get_local_cid, buffer) == 0);
    CHECK(program.value<std::uint32_t>() == local_vsock_cid());
    CHECK(program.call(sys_ioctl, file, get_local_cid, bad) == -EFAULT);
    CHECK(program.call(sys_ioctl, file, TCGETS, buffer) == -ENOTTY);
    CHECK(program.call(sys_ioctl, program.open("/dev/null", O_RDWR), get_local_cid, buffer) ==
          -ENOTTY);
}

TEST_CASE("files are copied from one to the other") {
    Program program;
    fake::put_file(program.kernel.files, "/from", std::string(10'000, 'a') + "end");
    const std::int64_t from = program.open("/from", O_RDWR);
    const std::int64_t to = program.open("/to", O_RDWR | O_CREAT);
    CHECK(program.call(sys_sendfile, to, from, 0, 1 << 20) == 10'003);
    CHECK(program.call(sys_sendfile, to, from, 0, 100) == 0);
    CHECK(fake::content_of(program.kernel.files, "/to").ends_with("aend"));
    program.set(buffer, std::uint64_t{10'000});
    CHECK(program.call(sys_sendfile, 1, from, buffer, 100) == 3);
    CHECK(program.kernel.console.output == "end");
    CHECK(program.value<std::uint64_t>() == 10'003);
    CHECK(program.call(sys_sendfile, to, 0, 0, 10) == -EINVAL);
    CHECK(program.call(sys_sendfile, to, from, bad, 10) == -EFAULT);
    CHECK(program.call(sys_sendfile, from, from, 0, 10) == -EINVAL);
    program.set(buffer, std::uint64_t{9'999});
    program.set(buffer + 8, std::uint64_t{20'000});
    CHECK(program.call(sys_copy_file_range, from, buffer, from, buffer + 8, 100, 0) == 4);
    CHECK(fake::content_of(program.kernel.files, "/from").size() == 20'004);
    program.set(buffer, std::uint64_t{0});
    program.set(buffer + 8, std::uint64_t{5});
    CHECK(program.call(sys_copy_file_range, from, buffer, from, buffer + 8, 10, 0) == -EINVAL);
    CHECK(program.call(sys_copy_file_range, from, 0, 1, 0, 10, 0) == -EINVAL);
    CHECK(program.call(sys_copy_file_range, from, 0, to, 0, 10, 1) == -EINVAL);
}

TEST_CASE("poll and select see what is ready, and wait no longer than they are told") {
    Program program;
    const std::int64_t file = program.open("/f", O_RDWR | O_CREAT);
    using Entries = std::array<struct pollfd, 4>;
    const auto set_entries = [&] {
        program.set(buffer, Entries{{{0, POLLIN, 0},
                                     {static_cast<int>(file), POLLIN | POLLOUT, 0},
                                     {99, POLLIN, 0},
                                     {-1, POLLIN, 77}}});
    };
    set_entries();
    CHECK(program.call(sys_poll, buffer, 4, -1) == 3);
    auto entries = program.value<Entries>();
    CHECK(entries[0].revents == POLLIN);
    CHECK(entries[1].revents == (POLLIN | POLLOUT));
    CHECK(entries[2].revents == POLLNVAL);
    CHECK(entries[3].revents == 0);
    program.kernel.console.input_ended = false;
    set_entries();
    std::uint64_t start = test::clock_ns;
    CHECK(program.call(sys_poll, buffer, 1, 5) == 0);
    CHECK(test::clock_ns - start == 5'000'000);
    start = test::clock_ns;
    CHECK(program.call(sys_poll, buffer + 24, 1, 7) == 0);
    CHECK(test::clock_ns - start == 7'000'000);
    CHECK(program.call(sys_poll, bad, 1, 0) == -EFAULT);
    CHECK(program.call(sys_poll, buffer, 1 << 30, 0) == -EINVAL);
    program.set(buffer + 100, timespec{0, 1'000'000'000});
    CHECK(program.call(sys_ppoll, buffer, 1, buffer + 100) == -EINVAL);

    program.kernel.console.input = "x";
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(0, &readable);
    FD_SET(3, &readable);
    program.set(buffer, readable);
    CHECK(program.call(sys_select, 4, buffer, 0, 0, 0) == 2);
    CHECK(FD_ISSET(0, &readable));
    program.kernel.console.input = "";
    program.set(buffer, readable);
    CHECK(program.call(sys_pselect6, 4, buffer, 0, 0, 0, 0) == 1);
    readable = program.value<fd_set>();
    CHECK(!FD_ISSET(0, &readable));
    CHECK(FD_ISSET(3, &readable));
    FD_SET(9, &readable);
    program.set(buffer, readable);
    CHECK(program.call(sys_select, 10, buffer, 0, 0, 0) == -EBADF);
    CHECK(program.call(sys_select, -1, buffer, 0, 0, 0) == -EINVAL);
    CHECK(program.call(sys_select, 1024, bad, 0, 0, 0) == -EFAULT);
}

}  // namespace
}  // namespace shoal::guest
