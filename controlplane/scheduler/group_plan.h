// GroupPlan: which members a group lacks and which it has too many. Pure.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/model/group.h"

namespace shoal::scheduler {

struct GroupPlan {
    std::vector<std::string> create;
    std::vector<std::string> remove;
};

// `members`: those that have a spec. `is_suspected`: whether a member's host has fallen silent. A
// group that was deleted is one with a count of 0.
[[nodiscard]] GroupPlan plan_group(const model::Group& group, const std::set<std::string>& members,
                                   const std::function<bool(const std::string&)>& is_suspected);

}  // namespace shoal::scheduler
