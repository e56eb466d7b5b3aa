// /vm: pause and resume.
#pragma once

#include <array>

#include "vmm/api/action.h"

namespace shoal::api {

enum class VmState { paused, resumed };

template <>
struct Names<VmState> {
    using Pair = std::pair<std::string_view, VmState>;
    static constexpr std::array values{Pair{"Paused", VmState::paused},
                                       Pair{"Resumed", VmState::resumed}};
};

struct Vm {
    VmState state{};
};

template <>
struct Description<Vm> {
    static constexpr std::string_view name = "Vm";
    static constexpr std::tuple fields{required("state", &Vm::state)};
};

[[nodiscard]] ParsedRequest parse_patch_vm(const Call& call);

}  // namespace shoal::api
