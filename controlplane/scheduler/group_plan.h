// GroupPlan: which members a group lacks and which it has too many. Pure.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/model/group.h"

namespace shoal::scheduler {

struct MemberState {
    bool is_running = false;
    bool is_leaving = false;    // somebody wants it gone
    bool is_suspected = false;  // its host has fallen silent
    bool has_ended = false;     // and is not started again
    bool is_outdated = false;   // not as the group says by now
};

struct GroupPlan {
    std::vector<std::string> create;
    std::vector<std::string> remove;
    // Those among them that have ended: what has failed is not to be replaced at once for ever.
    std::vector<std::string> replace;
};

// `members`: those that have a spec. A group that was deleted is one with a count of 0. Outdated
// members are removed one at a time, and only while all others run.
[[nodiscard]] GroupPlan plan_group(const model::Group& group, const std::set<std::string>& members,
                                   const std::function<MemberState(const std::string&)>& state_of);

}  // namespace shoal::scheduler
