#include "controlplane/node/process/launch.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "controlplane/node/rfc3339.h"

namespace shoal::node::test {

TEST_CASE("metadata and exec become words of what runs the microVM") {
    model::MicroVmSpec spec;
    spec.name = "a";
    spec.program = "--x";
    spec.metadata = {{"k", "\"v\""}};
    spec.exec = true;
    CHECK(make_launch(spec, {}, {"/bin/shoal", "/log"}).words ==
          std::vector<std::string>{"/bin/shoal", "run", "--memory", "128", "--vcpus", "1", "--env",
                                   "SHOAL_NAME=a", "--env", R"(SHOAL_METADATA={"k":"\"v\""})",
                                   "--exec", "--", "--x"});
}

TEST_CASE("a microVM with a kernel of its own runs no program and has no environment") {
    model::MicroVmSpec spec;
    spec.name = "a";
    spec.kernel = "k";
    spec.metadata = {{"k", "v"}};
    spec.memory_mib = 256;
    CHECK(make_launch(spec, {}, {"/bin/shoal", "/log", "/fence", "/api"}).words ==
          std::vector<std::string>{"/bin/shoal", "run", "--memory", "256", "--vcpus", "1",
                                   "--fence", "/fence", "--api-sock", "/api"});
}

TEST_CASE("what a VMM may open becomes words of one that opens files") {
    model::MicroVmSpec spec;
    spec.name = "a";
    const LaunchPaths with_api{"/bin/shoal", "/log", "/fence", "/api", {"/run/a", "/tls,ro"}};
    LaunchPaths alone = with_api;
    alone.fence = {};
    alone.api_socket = {};
    const std::vector<std::string> words{"--allow", "/run/a", "--allow", "/tls,ro"};
    const auto has_them = [&](const LaunchPaths& paths) {
        const auto all = make_launch(spec, {}, paths).words;
        const auto found = std::search(all.begin(), all.end(), words.begin(), words.end());
        return found != all.end() && std::ranges::find(all, "--") > found;
    };
    SUBCASE("a program with an API, before the program's own words") {
        spec.program = "/bin/true";
        CHECK(has_them(with_api));
    }
    SUBCASE("a kernel, with an API and without") {
        spec.kernel = "k";
        CHECK(has_them(with_api));
        CHECK(has_them(alone));
    }
    SUBCASE("a program without an API is run by a VMM that opens nothing") {
        spec.program = "/bin/true";
        CHECK_FALSE(has_them(alone));
    }
}

TEST_CASE("a time limit goes on where a microVM has moved to") {
    constexpr std::int64_t now_ms = 1'795'784'709'123;
    MicroVm microvm;
    microvm.spec.time_limit_s = 60;
    microvm.status.emplace();
    const auto left_after = [&](std::int64_t ran_ms) {
        microvm.status->started_at = to_rfc3339(now_ms - ran_ms);
        return time_limit_left_s(microvm, now_ms);
    };
    CHECK(left_after(0) == 60);
    CHECK(left_after(20'000) == 40);
    CHECK(left_after(59'000) == 1);
    SUBCASE("never for less than a second, nor for longer than it is") {
        CHECK(left_after(60'000) == 1);
        CHECK(left_after(1'000'000'000) == 1);
        CHECK(left_after(-5000) == 60);
    }
    SUBCASE("whole, where nobody knows when it started") {
        microvm.status->started_at = "yesterday";
        CHECK(time_limit_left_s(microvm, now_ms) == 60);
        microvm.status.reset();
        CHECK(time_limit_left_s(microvm, now_ms) == 60);
    }
    SUBCASE("and none stays none") {
        microvm.spec.time_limit_s.reset();
        CHECK(left_after(20'000) == 0);
    }
}

TEST_CASE("one that is saved while it runs is limited to twice its memory, and admitted as that") {
    model::MicroVmSpec spec;
    spec.memory_mib = 100;
    for (const auto policy : {model::HostFailurePolicy::none, model::HostFailurePolicy::restart,
                              model::HostFailurePolicy::restore}) {
        spec.on_host_failure = policy;
        const bool is_saved = policy == model::HostFailurePolicy::restore;
        CHECK(limits_of(spec).memory_mib == (is_saved ? 200 : 100));
        CHECK(spec.resources().memory_mib == limits_of(spec).memory_mib);
    }
}

}  // namespace shoal::node::test
