// The metrics' target.
#include "vmm/api/metrics.h"

namespace shoal::api {

void set_metrics(Context& context, const MetricsConfig& metrics) {
    with_prefix("Metrics error: ", [&] {
        if (context.metrics.is_open()) {
            throw Fault{"Reinitialization of metrics not allowed."};
        }
        std::map<std::string, std::string> labels = metrics.properties;
        if (metrics.emit_id) {
            labels["id"] = context.instance_id;
        }
        context.metrics.open(metrics.metrics_path, std::move(labels));
    });
}

ParsedRequest parse_put_metrics(const Call& call) {
    const auto metrics = parse_body<MetricsConfig>(call);
    return {[metrics](Context& context) {
        set_metrics(context, metrics);
        return no_content();
    }};
}

ParsedRequest parse_get_metrics(const Call&) {
    return {[](Context& context) {
        return Response{Status::ok, context.metrics.prometheus_text(), "text/plain; version=0.0.4"};
    }};
}

}  // namespace shoal::api
