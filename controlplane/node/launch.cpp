// `shoal run`, with what the description says.
#include "controlplane/node/launch.h"

namespace shoal::node {

Launch make_launch(const model::MicroVmSpec& spec, const Attempt& attempt,
                   const std::string& run_command, const std::string& log) {
    std::vector<std::string> words{run_command, "run",
                                   "--memory",  std::to_string(spec.memory_mib),
                                   "--vcpus",   std::to_string(spec.vcpus)};
    for (const std::string& assignment : spec.environment) {
        words.insert(words.end(), {"--env", assignment});
    }
    // Whatever it begins with, it is no option.
    words.insert(words.end(), {"--", spec.program});
    words.insert(words.end(), spec.arguments.begin(), spec.arguments.end());
    return {attempt,
            std::move(words),
            log,
            spec.time_limit_s.value_or(0),
            {spec.memory_mib, spec.vcpus}};
}

}  // namespace shoal::node
