// MetricsDocument: all counters at one moment, by group, and how they are written.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vmm/machine/microvm.h"

namespace shoal::api {

class MetricsDocument final : public vmm::MetricGroups {
public:
    using Counters = std::vector<std::pair<std::string, std::uint64_t>>;
    using Latencies = std::vector<std::pair<std::string, host::Latency>>;
    // Of one key of the metrics, by name.
    struct Values {
        std::map<std::string, std::uint64_t> counters;
        std::map<std::string, host::Latency> latencies;
    };

    // The counters of one device or one part of the program.
    class Group final : public host::MetricSink {
    public:
        Group(std::string_view kind, std::string_view id) : kind_{kind}, id_{id} {}
        void counter(std::string_view name, std::uint64_t value) override {
            counters_.emplace_back(name, value);
        }
        void latency(std::string_view name, const host::Latency& value) override {
            latencies_.emplace_back(name, value);
        }
        [[nodiscard]] const std::string& kind() const noexcept { return kind_; }
        [[nodiscard]] const std::string& id() const noexcept { return id_; }
        [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
        [[nodiscard]] const Latencies& latencies() const noexcept { return latencies_; }

    private:
        std::string kind_;
        std::string id_;
        Counters counters_;
        Latencies latencies_;
    };

    [[nodiscard]] host::MetricSink& group(std::string_view kind, std::string_view id) override {
        return groups_.emplace_back(kind, id);
    }

    // By the key of Firecracker's metrics: "block_rootfs" for a device, and "block" for the sum
    // over all devices of the kind.
    [[nodiscard]] std::map<std::string, Values> by_key() const;

    // Prometheus' text form: shoal_<kind>_<counter>{id="..."} value; a latency is three of them.
    [[nodiscard]] std::string prometheus_text(std::string_view instance_id) const;

private:
    std::deque<Group> groups_;
};

}  // namespace shoal::api
