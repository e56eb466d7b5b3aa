#include "controlplane/scheduler/group_plan.h"

#include <doctest/doctest.h>

using namespace shoal;
using namespace shoal::scheduler;
using Names = std::vector<std::string>;

namespace {

model::Group make_group(std::uint64_t count) {
    model::Group group;
    group.name = "web";
    group.count = count;
    return group;
}

// All run, on hosts that are heard of.
MemberState nobody(const std::string&) {
    MemberState state;
    state.is_running = true;
    return state;
}

}  // namespace

TEST_CASE("a group gets the members it lacks and loses those behind its count") {
    const auto plan = plan_group(make_group(3), {"web-1", "web-3", "web-4"}, nobody);
    CHECK(plan.create == Names{"web-0", "web-2"});
    CHECK(plan.remove == Names{"web-3", "web-4"});
}

TEST_CASE("a group that is whole is left alone") {
    const auto plan = plan_group(make_group(2), {"web-0", "web-1"}, nobody);
    CHECK(plan.create.empty());
    CHECK(plan.remove.empty());
}

TEST_CASE("members with other names, or with the names of larger numbers, are removed") {
    const auto plan = plan_group(
        make_group(1), {"web-0", "other", "web-", "web-x", "web-99999999999999999999"}, nobody);
    CHECK(plan.create.empty());
    CHECK(plan.remove.size() == 4);
}

TEST_CASE("suspected members are replaced only in groups that want that, and for as long") {
    model::Group group = make_group(3);
    const std::set<std::string> members{"web-0", "web-1", "web-2"};
    const auto first = [](const std::string& member) {
        MemberState state;
        state.is_suspected = member == "web-0";
        return state;
    };
    CHECK(plan_group(group, members, first).create.empty());
    group.on_suspicion = model::OnSuspicion::replace;
    CHECK(plan_group(group, members, first).create == Names{"web-3"});
    const std::set<std::string> replaced{"web-0", "web-1", "web-2", "web-3"};
    CHECK(plan_group(group, replaced, first).create.empty());
    CHECK(plan_group(group, replaced, first).remove.empty());
    CHECK(plan_group(group, replaced, nobody).remove == Names{"web-3"});
}

TEST_CASE("a member that has ended is replaced once, and others are left alone meanwhile") {
    MemberState ended;
    ended.has_ended = true;
    const auto state_of = [&](const std::string& member) {
        return member == "web-1" ? ended : nobody(member);
    };
    const std::set<std::string> members{"web-0", "web-1"};
    CHECK(plan_group(make_group(2), members, state_of).replace == Names{"web-1"});
    CHECK(plan_group(make_group(2), members, state_of).remove.empty());
    ended.is_leaving = true;
    CHECK(plan_group(make_group(2), members, state_of).replace.empty());
}

TEST_CASE("outdated members go one at a time, while all others run") {
    std::set<std::string> running{"web-0", "web-1", "web-2"};
    std::set<std::string> leaving;
    const auto state_of = [&](const std::string& member) {
        MemberState state;
        state.is_outdated = member != "web-0";
        state.is_running = running.contains(member);
        state.is_leaving = leaving.contains(member);
        return state;
    };
    const std::set<std::string> members{"web-0", "web-1", "web-2"};
    CHECK(plan_group(make_group(3), members, state_of).remove == Names{"web-1"});
    SUBCASE("one is on its way out") {
        leaving.insert("web-1");
    }
    SUBCASE("one does not run yet") {
        running.erase("web-0");
    }
    SUBCASE("nor the next of its kind") {
        running.erase("web-2");
    }
    CHECK(plan_group(make_group(3), members, state_of).remove.empty());
    CHECK(plan_group(make_group(3), {"web-0", "web-2"}, state_of).remove.empty());
}
