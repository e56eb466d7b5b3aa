// /actions
#pragma once

#include <array>

#include "vmm/api/action.h"

namespace shoal::api {

enum class ActionType { flush_metrics, instance_start, send_ctrl_alt_del };

template <>
struct Names<ActionType> {
    using Pair = std::pair<std::string_view, ActionType>;
    static constexpr std::array values{
        Pair{"FlushMetrics", ActionType::flush_metrics},
        Pair{"InstanceStart", ActionType::instance_start},
        Pair{"SendCtrlAltDel", ActionType::send_ctrl_alt_del},
    };
};

struct InstanceAction {
    ActionType action_type{};
};

template <>
struct Description<InstanceAction> {
    static constexpr std::string_view name = "InstanceActionInfo";
    static constexpr std::tuple fields{required("action_type", &InstanceAction::action_type)};
};

[[nodiscard]] ParsedRequest parse_put_actions(const Call& call);

// Throws Fault.
void start_microvm(Context& context);

}  // namespace shoal::api
