// kill -9 at random moments: what was answered is there, what was not is there whole or not at all.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <cstdlib>
#include <random>

#include "controlplane/store/sqlite_store.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"
#include "tests/unit/controlplane/store/scratch_folder.h"
#include "tests/unit/controlplane/store/store_client.h"

namespace shoal::store::test {

namespace {

constexpr int rounds = 200;
constexpr int in_flight = 4;
// What a child has at most before it is killed.
constexpr unsigned shortest_range_us = 30'000;
constexpr unsigned longest_range_us = 1'000'000;

Transaction step(std::int64_t number) {
    // Two keys that are only ever equal, and one more key with each step.
    const std::string value = std::to_string(number);
    return {{}, {Put{"/left", value}, Put{"/right", value}, Put{"/steps/" + value, value}}};
}

// Never returns: writes one step after the other and tells the pipe about each that is answered.
[[noreturn]] void write_steps(const std::string& path, std::int64_t first, int pipe) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    boost::asio::io_context context;
    const auto work = boost::asio::make_work_guard(context);
    AsioLoop loop{context};
    SqliteStore store{loop, {path}};
    std::int64_t next = first;
    std::function<void()> write_next = [&] {
        const std::int64_t number = next++;
        store.commit(step(number), [&, number](const Result<Revision>& made) {
            if (!made || ::write(pipe, &number, sizeof number) != sizeof number) {
                ::_exit(1);
            }
            write_next();
        });
        if (number % 50 == 0) {
            store.compact(number / 2 + 1, [](const Result<Revision>&) {});
        }
    };
    for (int i = 0; i < in_flight; ++i) {
        write_next();
    }
    context.run_for(std::chrono::seconds{30});
    ::_exit(2);
}

// Kills a child after `delay_us`; the last step that it was answered, or `first` - 1.
std::int64_t run_and_kill(const std::string& path, std::int64_t first, unsigned delay_us) {
    std::array<int, 2> ends{};
    host::check_os(::pipe(ends.data()), "pipe");
    const host::UniqueFd out{ends[0]};
    host::UniqueFd in{ends[1]};
    const pid_t child = ::fork();
    if (child == 0) {
        write_steps(path, first, in.get());
    }
    in = host::UniqueFd{};
    ::usleep(delay_us);  // The moment is what the test varies.
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    std::int64_t last = first - 1;
    while (::read(out.get(), &last, sizeof last) == sizeof last) {
    }
    return last;
}

}  // namespace

TEST_CASE("kill -9 at any moment loses nothing that was promised") {
    const ScratchFolder folder;
    const std::string path = folder.file("store");
    const char* seed = std::getenv("SEED");
    std::mt19937 random{seed != nullptr ? static_cast<unsigned>(std::atoi(seed)) : 1U};
    unsigned longest_us = shortest_range_us;
    std::int64_t next = 1;
    std::int64_t promised_count = 0;
    for (int round = 0; round < rounds; ++round) {
        CAPTURE(round);
        std::uniform_int_distribution<unsigned> delay_us{0, longest_us};
        const std::int64_t promised = run_and_kill(path, next, delay_us(random));
        promised_count += promised - next + 1;
        // Where a child takes long to begin, as with a sanitizer's memory, it gets the time.
        longest_us = promised < next ? std::min(longest_us * 2, longest_range_us)
                                     : std::max(longest_us / 2, shortest_range_us);

        EventLoopRunner runner;
        SqliteStore store{runner.loop(), {path}};
        StoreClient client{runner, store};
        const std::string left = client.value("/left");
        const std::int64_t kept = left == "(absent)" ? 0 : std::stoll(left);
        REQUIRE(client.value("/right") == left);
        REQUIRE(kept >= promised);
        REQUIRE(kept <= promised + in_flight);
        for (std::int64_t number = next; number <= kept; ++number) {
            REQUIRE(client.value("/steps/" + std::to_string(number)) == std::to_string(number));
        }
        REQUIRE(client.value("/steps/" + std::to_string(kept + 1)) == "(absent)");
        next = kept + 1;
    }
    CHECK(promised_count > rounds);  // The children did write.
}

}  // namespace shoal::store::test
