// Members are NAME-0 to NAME-(count-1); those that stand in for suspected ones come behind.
#include "controlplane/scheduler/group_plan.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace shoal::scheduler {

namespace {

std::optional<std::uint64_t> index_of(const std::string& group, const std::string& member) {
    if (!member.starts_with(group + "-")) {
        return std::nullopt;
    }
    std::uint64_t index = 0;
    const char* end = member.data() + member.size();
    const auto [stop, error] = std::from_chars(member.data() + group.size() + 1, end, index);
    return error == std::errc{} && stop == end ? std::optional{index} : std::nullopt;
}

}  // namespace

GroupPlan plan_group(const model::Group& group, const std::set<std::string>& members,
                     const std::function<MemberState(const std::string&)>& state_of) {
    GroupPlan plan;
    std::size_t unready = 0;  // besides that one
    std::string outdated;     // the first
    const auto create = [&](std::uint64_t index) {
        const std::string name = group.name + "-" + std::to_string(index);
        if (!members.contains(name)) {
            plan.create.push_back(name);
        }
    };
    std::uint64_t suspected = 0;
    std::vector<std::pair<std::uint64_t, std::string>> behind;  // of the count
    for (const std::string& member : members) {
        const auto index = index_of(group.name, member);
        if (index && *index < group.count) {
            const MemberState state = state_of(member);
            suspected += state.is_suspected ? 1U : 0U;
            if (state.has_ended && !state.is_leaving) {
                plan.replace.push_back(member);
            }
            if (state.is_outdated && !state.is_leaving && outdated.empty()) {
                outdated = member;
            } else {
                unready += state.is_running && !state.is_leaving ? 0U : 1U;
            }
        } else {
            behind.emplace_back(index.value_or(UINT64_MAX), member);
        }
    }
    for (std::uint64_t index = 0; index < group.count; ++index) {
        create(index);
    }
    if (group.on_suspicion == model::OnSuspicion::wait) {
        suspected = 0;
    }
    for (std::uint64_t index = group.count; index < group.count + suspected; ++index) {
        create(index);
    }
    for (const auto& [index, member] : behind) {
        if (index >= group.count + suspected) {
            plan.remove.push_back(member);
        }
    }
    const bool is_whole = plan.create.empty() && plan.remove.empty() && plan.replace.empty();
    if (is_whole && unready == 0 && !outdated.empty()) {
        plan.remove.push_back(outdated);
    }
    return plan;
}

}  // namespace shoal::scheduler
