// RecordingSink: what a device reported, by name.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
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
    std::map<std::string, std::uint64_t> values;
};

}  // namespace shoal::host
