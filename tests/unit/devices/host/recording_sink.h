// RecordingSink: what a device reported, by name.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "devices/host/metrics.h"

namespace shoal::host {

class RecordingSink final : public MetricSink {
public:
    void counter(std::string_view name, std::uint64_t value) override {
        CHECK(values.emplace(name, value).second);  // no name comes twice
    }
    void latency(std::string_view name, const Latency& value) override {
        counter(std::string{name} + ".min", value.min_ns);
        counter(std::string{name} + ".max", value.max_ns);
        counter(std::string{name} + ".sum", value.sum_ns);
    }
    std::map<std::string, std::uint64_t, std::less<>> values;
};

}  // namespace shoal::host
