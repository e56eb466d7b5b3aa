// Counters by key and as Prometheus text.
#include "vmm/api/metrics_document.h"

#include <algorithm>

namespace shoal::api {
namespace {

constexpr const char* gauge = " gauge\n";
constexpr const char* counter_type = " counter\n";

// Prometheus names: letters, digits, underscores.
std::string metric_name(const std::string& kind, const std::string& counter) {
    std::string name = "shoal_" + kind + "_" + counter;
    std::ranges::replace_if(
        name,
        [](char byte) {
            return !((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= '0' && byte <= '9') || byte == '_');
        },
        '_');
    return name;
}

std::string label_value(std::string_view text) {
    std::string value;
    for (const char byte : text) {
        if (byte == '\\' || byte == '"') {
            value += '\\';
        }
        value += byte == '\n' ? ' ' : byte;
    }
    return value;
}

// Adds what a group has: to nothing for one device, to the others' for the sum.
void add(MetricsDocument::Values& values, const MetricsDocument::Group& group) {
    for (const auto& [name, value] : group.counters()) {
        values.counters[name] += value;
    }
    for (const auto& [name, value] : group.latencies()) {
        values.latencies[name].merge(value);
    }
}

}  // namespace

std::map<std::string, MetricsDocument::Values> MetricsDocument::by_key() const {
    std::map<std::string, Values> keys;
    for (const Group& group : groups_) {
        add(keys[group.kind()], group);
        if (!group.id().empty()) {
            add(keys[group.kind() + "_" + group.id()], group);
        }
    }
    return keys;
}

std::string MetricsDocument::prometheus_text(std::string_view instance_id) const {
    // All samples of a metric must stand together, behind its type.
    std::map<std::string, std::string> metrics;
    for (const Group& group : groups_) {
        std::string labels = "{instance_id=\"" + label_value(instance_id) + "\"";
        if (!group.id().empty()) {
            labels += ",id=\"" + label_value(group.id()) + "\"";
        }
        labels += "} ";
        const auto add_sample = [&](const std::string& counter, const char* type,
                                    std::uint64_t value) {
            const std::string name = metric_name(group.kind(), counter);
            std::string& text = metrics[name];
            if (text.empty()) {
                text = "# TYPE " + name + type;
            }
            text += name + labels + std::to_string(value) + "\n";
        };
        for (const auto& [counter, value] : group.counters()) {
            add_sample(counter, counter.ends_with("_us") ? gauge : counter_type, value);
        }
        for (const auto& [name, latency] : group.latencies()) {
            add_sample(name + "_min_us", gauge, latency.min_us());
            add_sample(name + "_max_us", gauge, latency.max_us());
            add_sample(name + "_sum_us", counter_type, latency.sum_us());
        }
    }
    std::string result;
    for (const auto& [name, text] : metrics) {
        result += text;
    }
    return result;
}

}  // namespace shoal::api
