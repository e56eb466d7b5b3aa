// Both sides of fencing against a slow and lossy store, in thousands of seeded schedules. The
// host's clock differs from the leader's.
#include <doctest/doctest.h>

#include <random>

#include "controlplane/failover/host_fence.h"
#include "controlplane/failover/host_silence.h"

using namespace std::chrono_literals;
using namespace shoal::failover;

namespace {

class Schedule {
public:
    explicit Schedule(unsigned seed)
        : random_{seed},
          rate_{1 + (below(19) - 9) / 1000.0},
          deadline_{(2 + below(5)) * 1s},
          fence_{deadline_} {}

    // Whether the host still ran its microVMs when the leader took its epoch; neither: not taken.
    enum class End { not_taken, taken_safely, two_copies };

    End run() {
        for (Time now = 0s; now < 60s; now += 10ms) {
            step_host(now);
            const bool is_look = below(100) < 4;
            if (is_look || below(100) < 20) {
                silence_.hear(revision_, heartbeat_, now);
            }
            if (is_look && silence_.look(now)) {
                const bool runs = fence_.state(host_clock(now)) == HostFence::State::running;
                return runs ? End::two_copies : End::taken_safely;
            }
        }
        return End::not_taken;
    }

private:
    int below(int end) { return std::uniform_int_distribution{0, end - 1}(random_); }
    Time host_clock(Time now) const {
        return 1000s + Time{static_cast<Time::rep>(static_cast<double>(now.count()) * rate_)};
    }

    // One heartbeat at a time: sent, committed some time later, answered later still or never.
    void step_host(Time now) {
        if (now == commit_at_) {
            ++revision_;
            heartbeat_.sent_ns = static_cast<std::uint64_t>(sent_.count());
            heartbeat_.runs_until_ns = static_cast<std::uint64_t>((sent_ + deadline_).count());
        }
        if (now == answer_at_ && below(3) != 0) {
            fence_.on_acknowledged(sent_);
        }
        if (now > answer_at_) {
            sent_ = host_clock(now);
            commit_at_ = now + (1 + below(400)) * 10ms;
            answer_at_ = commit_at_ + below(400) * 10ms;
        }
    }

    std::mt19937 random_;
    double rate_;
    Time deadline_;
    HostFence fence_;
    shoal::model::Heartbeat heartbeat_{1, 1};
    HostSilence silence_;
    std::int64_t revision_ = 1;
    Time sent_{};
    Time commit_at_{-1};
    Time answer_at_{-1};
};

}  // namespace

TEST_CASE("no schedule of a slow and lossy store lets two copies run") {
    unsigned taken = 0;
    for (unsigned seed = 0; seed < 5000; ++seed) {
        const auto end = Schedule{seed}.run();
        CAPTURE(seed);
        REQUIRE(end != Schedule::End::two_copies);
        taken += end == Schedule::End::taken_safely;
    }
    CHECK(taken > 0);  // otherwise nothing was tested
}
