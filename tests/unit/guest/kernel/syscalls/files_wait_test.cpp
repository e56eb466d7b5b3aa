// System calls that wait: for whom, for how long, and what happens meanwhile.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "tests/unit/guest/kernel/sched/fake_scheduler.h"
#include "tests/unit/guest/kernel/syscalls/program.h"

namespace shoal::guest {
namespace {

using fake::buffer;
using fake::Program;

constexpr UserAddress other_buffer = buffer + 0x10'0000;

// What another thread does while this one waits; only in this scope.
struct Meanwhile {
    explicit Meanwhile(std::function<void()> action) { test::while_blocked = std::move(action); }
    ~Meanwhile() { test::while_blocked = {}; }
    Meanwhile(const Meanwhile&) = delete;
    Meanwhile& operator=(const Meanwhile&) = delete;
};

// Descriptors 3 and 4.
void make_pipe(Program& program, int flags) {
    REQUIRE(program.call(sys_pipe2, buffer, flags) == 0);
    REQUIRE(program.value<std::array<int, 2>>() == std::array{3, 4});
}

TEST_CASE("a read waits for bytes, and ends when there are no writers any more") {
    Program program;
    make_pipe(program, 0);
    {
        const Meanwhile meanwhile{[&] {
            fake::put_user(other_buffer, "late");
            CHECK(program.call(sys_write, 4, other_buffer, 4) == 4);
        }};
        CHECK(program.read(3, 10) == "late");
    }
    const Meanwhile meanwhile{[&] { CHECK(program.call(sys_close, 4) == 0); }};
    CHECK(program.read(3, 10).empty());
}

TEST_CASE("a write waits for room until everything is written") {
    Program program;
    make_pipe(program, 0);
    std::size_t got = 0;
    const Meanwhile meanwhile{[&] {
        const std::int64_t part = program.call(sys_read, 3, other_buffer, 50'000);
        REQUIRE(part > 0);
        got += static_cast<std::size_t>(part);
    }};
    CHECK(program.call(sys_write, 4, buffer, 300'000) == 300'000);
    CHECK(got >= 300'000 - 65536);
}

TEST_CASE("a descriptor may be closed and used anew while a call waits for its file") {
    Program program;
    make_pipe(program, 0);
    const Meanwhile meanwhile{[&] {
        CHECK(program.call(sys_close, 3) == 0);
        CHECK(program.open("/new", O_RDWR | O_CREAT) == 3);
        CHECK(program.call(sys_close, 4) == 0);
    }};
    CHECK(program.read(3, 10).empty());
}

TEST_CASE("a signal interrupts a wait unless something was done") {
    Program program;
    make_pipe(program, 0);
    const Meanwhile meanwhile{[&] { test::send_signal(10); }};
    CHECK(program.call(sys_read, 3, buffer, 10) == -EINTR);
    CHECK(program.call(sys_write, 4, buffer, 100'000) == 65536);
    test::pending_signals = 0;
    program.set(buffer, pollfd{3, POLLIN, 0});
    CHECK(program.read(3, 65536).size() == 65536);
    CHECK(program.call(sys_poll, buffer, 1, -1) == -EINTR);
    test::pending_signals = 0;
}

TEST_CASE("a mask of ppoll holds during the wait alone") {
    Program program;
    make_pipe(program, 0);
    program.set(buffer, pollfd{3, POLLIN, 0});
    program.set(buffer + 64, std::uint64_t{0x200});
    program.set(buffer + 128, timespec{0, 5'000'000});
    CHECK(program.call(sys_ppoll, buffer, 1, buffer + 128, buffer + 64, 4) == -EINVAL);
    std::uint64_t mask_meanwhile = 0;
    const Meanwhile meanwhile{[&] { mask_meanwhile = test::blocked_signals; }};
    CHECK(program.call(sys_ppoll, buffer, 1, buffer + 128, buffer + 64, 8) == 0);
    CHECK(mask_meanwhile == 0x200);
    CHECK(test::blocked_signals == 0);
    timespec left{};
    std::memcpy(&left, fake::user_bytes(buffer + 128, sizeof left).data(), sizeof left);
    CHECK(left.tv_sec == 0);
    CHECK(left.tv_nsec == 0);
}

TEST_CASE("a poll of the console and a pipe is woken by either") {
    Program program;
    make_pipe(program, 0);
    program.kernel.console.input_ended = false;
    using Entries = std::array<pollfd, 2>;
    const auto poll = [&](const auto& action) {
        program.set(buffer, Entries{{{0, POLLIN, 0}, {3, POLLIN, 0}}});
        const Meanwhile meanwhile{action};
        CHECK(program.call(sys_poll, buffer, 2, -1) == 1);
        return program.value<Entries>();
    };
    CHECK(poll([&] { program.call(sys_write, 4, other_buffer, 1); })[1].revents == POLLIN);
    CHECK(program.read(3, 10).size() == 1);
    CHECK(poll([&] {
              program.kernel.console.input = "line";
              program.kernel.console.waiters.wake_all();
          })[0]
              .revents == POLLIN);
}

TEST_CASE("the console's input is waited for unless the file is O_NONBLOCK") {
    Program program;
    program.kernel.console.input_ended = false;
    {
        const Meanwhile meanwhile{[&] {
            program.kernel.console.input = "typed";
            program.kernel.console.waiters.wake_all();
        }};
        CHECK(program.read(0, 10) == "typed");
    }
    CHECK(program.call(sys_fcntl, 0, F_SETFL, O_NONBLOCK) == 0);
    CHECK(program.read(0, 10) == "errno 11");
}

TEST_CASE("a timer wakes an epoll at its time, and its expirations are counted") {
    Program program;
    const std::int64_t timer = program.call(sys_timerfd_create, 1, 0);
    const std::int64_t epoll = program.call(sys_epoll_create1, 0);
    program.set(buffer, itimerspec{{0, 1'000'000}, {0, 3'000'000}});
    REQUIRE(program.call(sys_timerfd_settime, timer, 0, buffer, 0) == 0);
    epoll_event interest{};
    interest.events = EPOLLIN;
    program.set(buffer, interest);
    REQUIRE(program.call(sys_epoll_ctl, epoll, EPOLL_CTL_ADD, timer, buffer) == 0);
    const std::uint64_t start = test::clock_ns;
    CHECK(program.call(sys_epoll_wait, epoll, buffer, 8, 1) == 0);
    CHECK(test::clock_ns - start == 1'000'000);
    CHECK(program.call(sys_epoll_wait, epoll, buffer, 8, 100) == 1);
    CHECK(test::clock_ns - start == 3'000'000);
    test::clock_ns += 2'500'000;
    CHECK(program.call(sys_read, timer, buffer, 8) == 8);
    CHECK(program.value<std::uint64_t>() == 3);
    CHECK(program.call(sys_timerfd_gettime, timer, buffer) == 0);
    CHECK(program.value<itimerspec>().it_value.tv_nsec == 500'000);
    CHECK(program.call(sys_read, timer, buffer, 8) == 8);
    CHECK(test::clock_ns - start == 6'000'000);
    CHECK(program.call(sys_close, timer) == 0);
    CHECK(test::event_sources.deadline_ns() == no_deadline);
}

TEST_CASE("an eventfd takes eight bytes of a longer write") {
    Program program;
    const std::int64_t event = program.call(sys_eventfd2, 0, 0);
    program.set(buffer, std::array<std::uint64_t, 2>{1, 5});
    CHECK(program.call(sys_write, event, buffer, 16) == 8);
    CHECK(program.call(sys_read, event, buffer, 16) == 8);
    CHECK(program.value<std::uint64_t>() == 1);
}

TEST_CASE("a signalfd is readable when a signal of its set comes") {
    Program program;
    test::blocked_signals = 0x200;  // SIGUSR1
    program.set(buffer, std::uint64_t{0x200});
    const std::int64_t fd = program.call(sys_signalfd4, -1, buffer, 8, 0);
    REQUIRE(fd == 3);
    const Meanwhile meanwhile{[&] { test::send_signal(10); }};
    CHECK(program.call(sys_read, fd, buffer, 128) == 128);
    CHECK(program.value<std::uint32_t>() == 10);
    CHECK(test::pending_signals == 0);
    test::blocked_signals = 0;
}

TEST_CASE("splice moves bytes between pipes and files, tee copies them") {
    Program program;
    make_pipe(program, O_NONBLOCK);
    REQUIRE(program.call(sys_pipe2, buffer, O_NONBLOCK) == 0);  // 5 and 6
    fake::put_file(program.kernel.files, "/f", "0123456789");
    const std::int64_t file = program.open("/f", O_RDWR);
    program.set(buffer, std::uint64_t{2});
    CHECK(program.call(sys_splice, file, buffer, 4, 0, 5, 0) == 5);
    CHECK(program.value<std::uint64_t>() == 7);
    CHECK(program.call(sys_tee, 3, 6, 100, 0) == 5);
    CHECK(program.call(sys_splice, 3, 0, file, 0, 100, 0) == 5);
    CHECK(fake::content_of(program.kernel.files, "/f") == "2345656789");
    CHECK(program.read(5, 10) == "23456");
    CHECK(program.call(sys_splice, 3, 0, file, 0, 100, 0) == -EAGAIN);
    CHECK(program.call(sys_splice, 3, buffer, file, 0, 100, 0) == -ESPIPE);
    CHECK(program.call(sys_splice, file, 0, file, 0, 100, 0) == -EINVAL);
    CHECK(program.call(sys_splice, 3, 0, 4, 0, 100, 0) == -EINVAL);
    CHECK(program.call(sys_splice, 99, 0, 4, 0, 100, 0) == -EBADF);
}

TEST_CASE("sendfile to a pipe waits for room and sends everything") {
    Program program;
    make_pipe(program, 0);
    fake::put_file(program.kernel.files, "/f", std::string(200'000, 'x'));
    const std::int64_t file = program.open("/f", O_RDONLY);
    std::size_t got = 0;
    const Meanwhile meanwhile{[&] {
        const std::int64_t part = program.call(sys_read, 3, other_buffer, 30'000);
        REQUIRE(part > 0);
        got += static_cast<std::size_t>(part);
    }};
    CHECK(program.call(sys_sendfile, 4, file, 0, 1 << 20) == 200'000);
    CHECK(got >= 200'000 - 65536);
}

}  // namespace
}  // namespace shoal::guest
