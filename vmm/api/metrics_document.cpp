// Counters by key and as Prometheus text.
#include "vmm/api/metrics_document.h"

#include <algorithm>

namespace shoal::api {
namespace {

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

}  // namespace

std::map<std::string, std::map<std::string, std::uint64_t>> MetricsDocument::by_key() const {
    std::map<std::string, std::map<std::string, std::uint64_t>> keys;
    for (const Group& group : groups_) {
        auto& sum = keys[group.kind()];
        for (const auto& [name, value] : group.counters()) {
            sum[name] += value;
            if (!group.id().empty()) {
                keys[group.kind() + "_" + group.id()][name] = value;
            }
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
        for (const auto& [counter, value] : group.counters()) {
            const std::string name = metric_name(group.kind(), counter);
            std::string& text = metrics[name];
            if (text.empty()) {
                text = "# TYPE " + name + (name.ends_with("_us") ? " gauge\n" : " counter\n");
            }
            text += name + labels + std::to_string(value) + "\n";
        }
    }
    std::string result;
    for (const auto& [name, text] : metrics) {
        result += text;
    }
    return result;
}

}  // namespace shoal::api
