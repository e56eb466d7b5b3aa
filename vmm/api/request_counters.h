// RequestCounters: how many requests came and failed, by method and resource.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "vmm/api/http.h"
#include "vmm/machine/microvm.h"

namespace shoal::api {

class RequestCounters {
public:
    void count(Method method, std::string_view metric, Status status, Deprecation deprecation);
    // As Firecracker's groups get_api_requests, put_api_requests, ...
    void report(vmm::MetricGroups& groups) const;

private:
    struct Counts {
        std::uint64_t count = 0;
        std::uint64_t fails = 0;
    };

    std::map<Method, std::map<std::string, Counts, std::less<>>> counts_;
    std::uint64_t deprecated_ = 0;
};

}  // namespace shoal::api
