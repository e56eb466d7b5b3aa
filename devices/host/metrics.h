// MetricSink: where a device tells its counters. The VMM turns them into NDJSON and Prometheus
// text.
#pragma once

#include <cstdint>
#include <string_view>

#include "devices/host/latency.h"

namespace shoal::host {

class MetricSink {
public:
    virtual ~MetricSink() = default;
    // `name` as Firecracker spells it where it has the same counter, in snake_case. The value only
    // ever grows.
    virtual void counter(std::string_view name, std::uint64_t value) = 0;
    // Likewise; told as min_us, max_us and sum_us.
    virtual void latency(std::string_view name, const Latency& value) = 0;
};

}  // namespace shoal::host
