#include "devices/host/oom_score.h"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <fstream>

namespace {

int own_score() {
    std::ifstream file{"/proc/self/oom_score_adj"};
    int score = 0;
    file >> score;
    return score;
}

// In a process of its own, which this one is not to be after.
bool in_child(bool (*is_so)()) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(is_so() ? 0 : 1);
    }
    int status = -1;
    return ::waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace

TEST_CASE("whoever starts others may always have them taken before itself") {
    using namespace shoal::host;
    CHECK(in_child([] { return set_oom_order(OomOrder::first) && own_score() == 100; }));
    CHECK(in_child([] {
        const int before = own_score();
        return set_oom_order(OomOrder::last) ? own_score() == -999 : own_score() == before;
    }));
    CHECK(in_child([] {
        static_cast<void>(set_oom_order(OomOrder::last));
        return set_oom_order(OomOrder::first) && own_score() == 100;
    }));
}
