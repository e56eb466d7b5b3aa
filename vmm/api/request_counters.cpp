// Counters of requests.
#include "vmm/api/request_counters.h"

namespace shoal::api {

void RequestCounters::count(Method method, std::string_view metric, Status status,
                            Deprecation deprecation) {
    auto& by_name = counts_[method];
    auto entry = by_name.find(metric);
    if (entry == by_name.end()) {
        entry = by_name.emplace(metric, Counts{}).first;
    }
    ++entry->second.count;
    entry->second.fails += status >= Status::bad_request ? 1 : 0;
    deprecated_ += deprecation == Deprecation::deprecated ? 1 : 0;
}

void RequestCounters::report(vmm::MetricGroups& groups) const {
    constexpr std::string_view kinds[]{"get_api_requests", "put_api_requests", "patch_api_requests",
                                       "delete_api_requests"};
    for (const auto& [method, by_name] : counts_) {
        host::MetricSink& sink = groups.group(kinds[static_cast<unsigned>(method)], {});
        for (const auto& [name, counts] : by_name) {
            sink.counter(name + "_count", counts.count);
            sink.counter(name + "_fails", counts.fails);
        }
    }
    groups.group("deprecated_api", {}).counter("deprecated_http_api_calls", deprecated_);
}

}  // namespace shoal::api
