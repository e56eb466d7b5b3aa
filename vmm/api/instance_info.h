// GET / and GET /version
#pragma once

#include <array>

#include "vmm/api/action.h"

namespace shoal::api {

// The version of Firecracker whose API this is; its clients choose their requests by it.
inline constexpr const char* firecracker_version = "1.17.0-dev";

template <>
struct Names<vmm::MicrovmState> {
    using Pair = std::pair<std::string_view, vmm::MicrovmState>;
    static constexpr std::array values{
        Pair{"Not started", vmm::MicrovmState::not_started},
        Pair{"Running", vmm::MicrovmState::running},
        Pair{"Paused", vmm::MicrovmState::paused},
    };
};

struct InstanceInfo {
    std::string id;
    vmm::MicrovmState state{};
    std::string vmm_version = firecracker_version;
    std::string app_name = "Firecracker";
};

template <>
struct Description<InstanceInfo> {
    using Body = InstanceInfo;
    static constexpr std::string_view name = "InstanceInfo";
    static constexpr std::tuple fields{
        required("id", &Body::id),
        required("state", &Body::state),
        required("vmm_version", &Body::vmm_version),
        required("app_name", &Body::app_name),
    };
};

// `shoal-vmm --version` tells ours.
struct Version {
    std::string firecracker = firecracker_version;
};

template <>
struct Description<Version> {
    static constexpr std::string_view name = "FirecrackerVersion";
    static constexpr std::tuple fields{required("firecracker_version", &Version::firecracker)};
};

[[nodiscard]] ParsedRequest parse_get_instance_info(const Call& call);
[[nodiscard]] ParsedRequest parse_get_version(const Call& call);

}  // namespace shoal::api
