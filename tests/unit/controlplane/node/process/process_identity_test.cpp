#include "controlplane/node/process/process_identity.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <system_error>

namespace shoal::node::test {

namespace {

// A process that does nothing until it is killed.
class Sleeper {
public:
    Sleeper() : pid_{::fork()} {
        if (pid_ == 0) {
            ::alarm(60);  // whatever becomes of the test
            while (true) {
                ::pause();
            }
        }
        REQUIRE(pid_ > 0);
    }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;
    ~Sleeper() {
        kill();
        reap();
    }

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    void kill() const noexcept {
        if (!is_reaped_) {
            ::kill(pid_, SIGKILL);
        }
    }
    void reap() noexcept {
        if (!is_reaped_) {
            ::waitpid(pid_, nullptr, 0);
            is_reaped_ = true;
        }
    }

private:
    pid_t pid_;
    bool is_reaped_ = false;
};

bool has_ended(const host::UniqueFd& process, int timeout_ms) {
    pollfd polled{process.get(), POLLIN, 0};
    return ::poll(&polled, 1, timeout_ms) == 1;
}

}  // namespace

TEST_CASE("a process is found again by its identity, and its end is seen") {
    Sleeper sleeper;
    const auto identity = identify(sleeper.pid());
    REQUIRE(identity);
    CHECK(identity->pid == sleeper.pid());

    const host::UniqueFd process = open_process(*identity);
    REQUIRE(process);
    CHECK(!has_ended(process, 0));
    sleeper.kill();
    CHECK(has_ended(process, 10'000));

    const host::UniqueFd zombie = open_process(*identity);
    REQUIRE(zombie);
    CHECK(has_ended(zombie, 0));
    sleeper.reap();
    CHECK(!open_process(*identity));
    CHECK(!identify(sleeper.pid()));
}

TEST_CASE("another process that has the same pid is not taken for the one that was recorded") {
    const Sleeper sleeper;
    auto identity = identify(sleeper.pid());
    REQUIRE(identity);
    --identity->start_ticks;
    CHECK(!open_process(*identity));
}

TEST_CASE("a pid that cannot be is an error, not the end of a process") {
    CHECK_THROWS_AS(static_cast<void>(open_process({0, 0})), std::system_error);
    CHECK_THROWS_AS(static_cast<void>(open_process({-1, 0})), std::system_error);
}

TEST_CASE("the start time is found whatever the program is called") {
    const std::string rest = " S 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 777 21\n";
    CHECK(start_ticks_in("1 (a)" + rest) == 777);
    CHECK(start_ticks_in("1 (a) S 1 (b)" + rest) == 777);
    CHECK(start_ticks_in("1 ()" + rest) == 777);
    CHECK(!start_ticks_in(""));
    CHECK(!start_ticks_in("1 a S 2 3"));
    CHECK(!start_ticks_in("1 (a) S 2 3"));
    CHECK(!start_ticks_in("1 (a) S 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 x 21"));
    CHECK(!start_ticks_in("1 (a) S 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 "));
}

}  // namespace shoal::node::test
