// /machine-config
#pragma once

#include <array>

#include "vmm/api/action.h"

namespace shoal::api {

template <>
struct Names<vmm::CpuTemplate> {
    using Pair = std::pair<std::string_view, vmm::CpuTemplate>;
    static constexpr std::array values{
        Pair{"C3", vmm::CpuTemplate::c3},     Pair{"T2", vmm::CpuTemplate::t2},
        Pair{"T2S", vmm::CpuTemplate::t2s},   Pair{"T2CL", vmm::CpuTemplate::t2cl},
        Pair{"T2A", vmm::CpuTemplate::t2a},   Pair{"V1N1", vmm::CpuTemplate::v1n1},
        Pair{"None", vmm::CpuTemplate::none},
    };
};

template <>
struct Names<vmm::HugePages> {
    using Pair = std::pair<std::string_view, vmm::HugePages>;
    static constexpr std::array values{
        Pair{"None", vmm::HugePages::none},
        Pair{"Transparent", vmm::HugePages::transparent},
        Pair{"2M", vmm::HugePages::hugetlbfs_2m},
    };
};

inline constexpr Limits vcpu_limits{1, 32};

template <>
struct Description<vmm::MachineShape> {
    using Body = vmm::MachineShape;
    static constexpr std::string_view name = "MachineConfiguration";
    static constexpr std::tuple fields{
        required("vcpu_count", &Body::vcpu_count, vcpu_limits, LimitCheck::by_resource),
        required("mem_size_mib", &Body::mem_size_mib),
        optional("smt", &Body::smt),
        sparse("cpu_template", &Body::cpu_template),
        optional("track_dirty_pages", &Body::track_dirty_pages),
        optional("huge_pages", &Body::huge_pages),
    };
};

// Body of PATCH: any of the fields, but one at least.
struct MachineUpdate {
    std::optional<std::uint8_t> vcpu_count;
    std::optional<std::uint64_t> mem_size_mib;
    std::optional<bool> smt;
    std::optional<vmm::CpuTemplate> cpu_template;
    std::optional<bool> track_dirty_pages;
    std::optional<vmm::HugePages> huge_pages;
};

template <>
struct Description<MachineUpdate> {
    using Body = MachineUpdate;
    static constexpr std::string_view name = "PartialMachineConfiguration";
    static constexpr std::tuple fields{
        optional("vcpu_count", &Body::vcpu_count, vcpu_limits, LimitCheck::by_resource),
        optional("mem_size_mib", &Body::mem_size_mib),
        optional("smt", &Body::smt),
        sparse("cpu_template", &Body::cpu_template),
        optional("track_dirty_pages", &Body::track_dirty_pages),
        optional("huge_pages", &Body::huge_pages),
    };
};

[[nodiscard]] ParsedRequest parse_get_machine_config(const Call& call);
[[nodiscard]] ParsedRequest parse_put_machine_config(const Call& call);
[[nodiscard]] ParsedRequest parse_patch_machine_config(const Call& call);

// Throws Fault when the machine cannot be so.
void set_machine_config(Context& context, vmm::MachineShape machine);

}  // namespace shoal::api
