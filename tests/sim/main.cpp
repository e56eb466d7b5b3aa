// The simulator's program. SEED=N plays one small world again and says what happened in it, with
// TRACE=TEXT each change of a key with that text; else many small worlds and a large one, with one
// line for each that failed and one for all.
//
// sim [small|deaths|large|huge]; MUTATION=no_fence|no_margin|no_settling|no_holds breaks a rule,
// which must be found.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>

#include "tests/sim/world.h"

using namespace shoal::sim;
using namespace std::chrono_literals;

namespace {

int passed = 0;
int failed = 0;

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

Mutation mutation() {
    const std::string name = from_environment("MUTATION");
    return name == "no_fence"      ? Mutation::no_fence
           : name == "no_margin"   ? Mutation::no_margin
           : name == "no_settling" ? Mutation::no_settling
           : name == "no_holds"    ? Mutation::no_holds
                                   : Mutation::none;
}

WorldSettings small_world(std::uint64_t seed) {
    Dice dice{seed ^ 0x5eed};
    WorldSettings settings;
    settings.seed = seed;
    settings.hosts = 3 + dice.below(13);
    settings.leaders = 2 + dice.below(2);  // one host may be dead for good
    settings.members = 4 + dice.below(8 * settings.hosts);
    settings.between_faults = dice.between(500ms, 5s);
    settings.mutation = mutation();
    return settings;
}

double seconds(Time time) {
    return std::chrono::duration<double>(time).count();
}

using Way = Outcome (World::*)();

bool play(const std::string& what, const WorldSettings& settings, bool is_told,
          Way way = &World::run) {
    const auto begin = std::chrono::steady_clock::now();
    try {
        World world{settings};
        const Outcome outcome = (world.*way)();
        ++passed;
        if (is_told) {
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
            std::cout << what << ": " << settings.hosts << " hosts, " << outcome.microvms
                      << " microVMs, " << outcome.steps << " steps, " << outcome.faults
                      << " faults, " << outcome.takeovers << " takeovers; all placed after "
                      << seconds(outcome.all_placed_after) << " s, converged "
                      << seconds(outcome.converged_after) << " s after the last fault; history "
                      << std::hex << outcome.history << std::dec << "; took " << took.count()
                      << " s" << std::endl;
        }
        return true;
    } catch (const Violation& violation) {
        ++failed;
        std::cout << "FAILED  " << what << ": " << violation.what() << std::endl;
        return false;
    }
}

void play_small_worlds(std::uint64_t count) {
    for (std::uint64_t seed = 1; seed <= count; ++seed) {
        play("SEED=" + std::to_string(seed), small_world(seed), false);
    }
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        WorldSettings settings = small_world(seed);
        settings.hosts = 4;
        play("crowded " + std::to_string(seed), settings, false, &World::run_crowded);
    }
    // The same seed is the same history, or no failure could be looked into.
    const auto again = [] { return World{small_world(1)}.run().history; };
    if (mutation() == Mutation::none) {
        again() == again() ? ++passed : ++failed;
    }
}

void play_deaths(std::uint64_t count) {
    for (std::uint64_t seed = 1; seed <= count; ++seed) {
        play("deaths " + std::to_string(seed), small_world(seed), false, &World::run_deaths);
    }
}

WorldSettings large_world(std::size_t hosts) {
    WorldSettings settings;
    settings.seed = 1;
    settings.hosts = hosts;
    settings.members = hosts * 100;
    settings.groups_change = false;
    settings.own_deadlines = false;
    settings.faults_last = 20s;
    settings.between_faults = 500ms;
    return settings;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    const std::string count = from_environment("WORLDS");
    if (const std::string seed = from_environment("SEED"); !seed.empty()) {
        WorldSettings settings = small_world(std::stoull(seed));
        settings.trace = from_environment("TRACE");
        play("SEED=" + seed, settings, true, what == "deaths" ? &World::run_deaths : &World::run);
    } else if (what == "huge") {
        play("huge", large_world(10'000), true);
    } else if (what == "deaths") {
        play_deaths(count.empty() ? 100 : std::stoull(count));
    } else {
        if (what != "large") {
            play_deaths(100);
            play_small_worlds(count.empty() ? 1000 : std::stoull(count));
        }
        if (what != "small") {
            play("large", large_world(1000), true);
        }
    }
    std::cout << "sim: " << passed << " passed, " << failed << " failed" << std::endl;
    return failed == 0 ? 0 : 1;
}
