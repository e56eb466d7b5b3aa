// `shoal run`, with what the description says.
#include "controlplane/node/process/launch.h"

#include <algorithm>

#include "controlplane/model/json.h"
#include "controlplane/node/rfc3339.h"

namespace shoal::node {

namespace {

// What a program gets to know by its environment, which a kernel does not have.
void add_environment(const model::MicroVmSpec& spec, std::vector<std::string>& words) {
    words.insert(words.end(), {"--env", "SHOAL_NAME=" + spec.name});
    for (const std::string& assignment : spec.environment) {
        words.insert(words.end(), {"--env", assignment});
    }
    if (!spec.metadata.empty()) {
        words.insert(words.end(), {"--env", "SHOAL_METADATA=" + model::to_json(spec.metadata)});
    }
}

}  // namespace

std::vector<std::string> allow_words(const std::vector<std::string>& paths) {
    std::vector<std::string> words;
    for (const std::string& path : paths) {
        words.insert(words.end(), {"--allow", path});
    }
    return words;
}

CgroupLimits limits_of(const model::MicroVmSpec& spec) {
    return {spec.host_memory_mib(), spec.vcpus};
}

Launch make_launch(const model::MicroVmSpec& spec, const Attempt& attempt,
                   const LaunchPaths& paths) {
    std::vector<std::string> words{paths.run_command, "run",
                                   "--memory",        std::to_string(spec.memory_mib),
                                   "--vcpus",         std::to_string(spec.vcpus)};
    if (spec.kernel.empty()) {
        add_environment(spec, words);
    }
    if (spec.exec) {
        words.emplace_back("--exec");  // The vsock device that it needs is a provision.
    }
    if (!paths.fence.empty()) {
        words.insert(words.end(), {"--fence", paths.fence});
    }
    if (!paths.api_socket.empty()) {
        words.insert(words.end(), {"--api-sock", paths.api_socket});
    }
    if (!spec.kernel.empty() || !paths.api_socket.empty()) {  // Any other VMM opens nothing.
        const auto allowed = allow_words(paths.allowed);
        words.insert(words.end(), allowed.begin(), allowed.end());
    }
    if (spec.kernel.empty()) {
        // Whatever it begins with, it is no option.
        words.insert(words.end(), {"--", spec.program});
        words.insert(words.end(), spec.arguments.begin(), spec.arguments.end());
    }
    return {attempt, std::move(words), paths.log, spec.time_limit_s.value_or(0), limits_of(spec)};
}

std::uint64_t time_limit_left_s(const MicroVm& microvm, std::int64_t now_ms) {
    const std::uint64_t limit_s = microvm.spec.time_limit_s.value_or(0);
    const auto started_ms =
        microvm.status ? from_rfc3339(microvm.status->started_at) : std::nullopt;
    if (limit_s == 0 || !started_ms) {
        return limit_s;
    }
    const auto ran_s =
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, now_ms - *started_ms) / 1000);
    return limit_s - std::min(ran_s, limit_s - 1);
}

}  // namespace shoal::node
