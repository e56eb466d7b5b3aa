// `shoal run`, with what the description says.
#include "controlplane/node/launch.h"

namespace shoal::node {

CgroupLimits limits_of(const model::MicroVmSpec& spec) {
    const bool is_saved = spec.on_host_failure == model::HostFailurePolicy::restore;
    return {is_saved ? 2 * spec.memory_mib : spec.memory_mib, spec.vcpus};
}

Launch make_launch(const model::MicroVmSpec& spec, const Attempt& attempt,
                   const LaunchPaths& paths) {
    std::vector<std::string> words{paths.run_command, "run",
                                   "--memory",        std::to_string(spec.memory_mib),
                                   "--vcpus",         std::to_string(spec.vcpus),
                                   "--env",           "SHOAL_NAME=" + spec.name};
    for (const std::string& assignment : spec.environment) {
        words.insert(words.end(), {"--env", assignment});
    }
    if (!paths.fence.empty()) {
        words.insert(words.end(), {"--fence", paths.fence});
    }
    if (!paths.api_socket.empty()) {
        words.insert(words.end(), {"--api-sock", paths.api_socket});
    }
    // Whatever it begins with, it is no option.
    words.insert(words.end(), {"--", spec.program});
    words.insert(words.end(), spec.arguments.begin(), spec.arguments.end());
    return {attempt, std::move(words), paths.log, spec.time_limit_s.value_or(0), limits_of(spec)};
}

}  // namespace shoal::node
