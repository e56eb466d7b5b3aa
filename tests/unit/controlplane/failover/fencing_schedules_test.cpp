// Both sides of fencing against a slow and lossy store, in a thousand seeded schedules.
#include <doctest/doctest.h>

#include <random>

#include "controlplane/failover/host_fence.h"
#include "controlplane/failover/host_silence.h"

using namespace std::chrono_literals;
using namespace shoal::failover;

namespace {

class Schedule {
public:
    explicit Schedule(unsigned seed) : random_{seed} {}

    // Whether the host still ran its microVMs when the leader took its epoch; neither: not taken.
    enum class End { not_taken, taken_safely, two_copies };

    End run() {
        for (Time now = 0s; now < 60s; now += 10ms) {
            step_host(now);
            if (below(100) < 4 && silence_.look(revision_, now)) {
                const bool runs = fence_.state(now) == HostFence::State::running;
                return runs ? End::two_copies : End::taken_safely;
            }
        }
        return End::not_taken;
    }

private:
    int below(int end) { return std::uniform_int_distribution{0, end - 1}(random_); }

    // One heartbeat at a time: sent, committed some time later, answered later still or never.
    void step_host(Time now) {
        if (now == commit_at_) {
            ++revision_;
        }
        if (now == answer_at_ && below(3) != 0) {
            fence_.on_acknowledged(sent_);
        }
        if (now > answer_at_) {
            sent_ = now;
            commit_at_ = now + (1 + below(400)) * 10ms;
            answer_at_ = commit_at_ + below(400) * 10ms;
        }
    }

    std::mt19937 random_;
    HostFence fence_;
    HostSilence silence_;
    std::int64_t revision_ = 1;
    Time sent_{};
    Time commit_at_{-1};
    Time answer_at_{-1};
};

}  // namespace

TEST_CASE("no schedule of a slow and lossy store lets two copies run") {
    unsigned taken = 0;
    for (unsigned seed = 0; seed < 1000; ++seed) {
        const auto end = Schedule{seed}.run();
        CAPTURE(seed);
        REQUIRE(end != Schedule::End::two_copies);
        taken += end == Schedule::End::taken_safely;
    }
    CHECK(taken > 0);  // otherwise nothing was tested
}
