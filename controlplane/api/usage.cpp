// Read when it is asked for: nobody pays for what nobody looks at.
#include "controlplane/api/usage.h"

#include <chrono>
#include <utility>

#include "controlplane/api/pass_on.h"
#include "controlplane/http/target.h"
#include "controlplane/node/mirror/attempt.h"
#include "controlplane/node/process/usage.h"

namespace shoal::rest {
namespace {

// A host reads this of 1000 microVMs in some 20 ms.
constexpr std::chrono::seconds patience{2};

std::string phase_text(const node::MicroVm& microvm) {
    const auto phase = microvm.status.value_or(model::MicroVmStatus{}).phase;
    switch (phase) {
        case model::Phase::pending:
            return "pending";
        case model::Phase::starting:
            return "starting";
        case model::Phase::running:
            return "running";
        case model::Phase::stopping:
            return "stopping";
        case model::Phase::succeeded:
            return "succeeded";
        case model::Phase::failed:
            break;
    }
    return "failed";
}

const std::string& host_of(const node::MicroVm& microvm) {
    static const std::string none;
    return microvm.placement ? microvm.placement->host : none;
}

std::string to_json(const node::MicroVm& microvm, const std::string& run_folder) {
    const std::uint64_t restarts = microvm.status ? microvm.status->restarts : 0;
    const node::Attempt attempt{microvm.spec.name, microvm.created, restarts};
    const auto usage = node::usage_in(run_folder + "/" + to_folder_name(attempt));
    return R"({"name":)" + quote(microvm.spec.name) + R"(,"project":)" +
           quote(microvm.spec.project) + R"(,"host":)" + quote(host_of(microvm)) + R"(,"phase":")" +
           phase_text(microvm) + R"(","restarts":)" + std::to_string(restarts) +
           R"(,"memory_mib":)" + std::to_string(microvm.spec.memory_mib) + R"(,"cpu_us":)" +
           (usage ? std::to_string(usage->cpu_us) : "null") + R"(,"memory_bytes":)" +
           (usage ? std::to_string(usage->memory_bytes) : "null") + "}";
}

}  // namespace

void add_usage(Api& api, Service& service, const std::string& run_folder) {
    api.add("GET", "/v1/usage", [&service, run_folder](const Request& request, Respond respond) {
        expect_parameters(request, {"limit", "after", "host"});
        const auto found = request.query.find("host");
        const std::string host = found == request.query.end() ? "" : found->second;
        if (!host.empty() && host != service.host) {
            return pass_on_to(service, host, request, patience, std::move(respond));
        }
        respond(list_page(
            service, request, service.mirror.microvms(),
            [&host](const node::MicroVm& microvm) {
                return microvm.revision != 0 && (host.empty() || host_of(microvm) == host);
            },
            [&run_folder](const node::MicroVm& microvm) { return to_json(microvm, run_folder); }));
    });
}

}  // namespace shoal::rest
