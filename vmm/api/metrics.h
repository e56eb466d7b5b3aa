// PUT /metrics, where the metrics go; and GET /metrics, ours: their Prometheus text.
#pragma once

#include <map>

#include "vmm/api/action.h"

namespace shoal::api {

struct MetricsConfig {
    std::string metrics_path;
    bool emit_id = false;  // the instance's id in every line
    std::map<std::string, std::string> properties;
};

template <>
struct Description<MetricsConfig> {
    using Body = MetricsConfig;
    static constexpr std::string_view name = "Metrics";
    static constexpr UnknownFields unknown_fields = UnknownFields::ignored;
    static constexpr std::tuple fields{
        required("metrics_path", &Body::metrics_path),
        optional("emit_id", &Body::emit_id),
        optional("properties", &Body::properties),
    };
};

[[nodiscard]] ParsedRequest parse_put_metrics(const Call& call);
[[nodiscard]] ParsedRequest parse_get_metrics(const Call& call);

// Throws Fault.
void set_metrics(Context& context, const MetricsConfig& metrics);

}  // namespace shoal::api
