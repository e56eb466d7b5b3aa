// The counters' names.
#include "devices/virtio/block_metrics.h"

namespace shoal::virtio {

void BlockMetrics::report(host::MetricSink& sink) const {
    sink.counter("read_bytes", read_bytes);
    sink.counter("read_count", read_count);
    sink.counter("write_bytes", write_bytes);
    sink.counter("write_count", write_count);
    sink.counter("flush_count", flush_count);
    sink.counter("discard_bytes", discard_bytes);
    sink.counter("discard_count", discard_count);
    sink.counter("write_zeroes_bytes", write_zeroes_bytes);
    sink.counter("write_zeroes_count", write_zeroes_count);
    sink.counter("execute_fails", execute_fails);
    sink.counter("invalid_reqs_count", invalid_reqs_count);
    sink.counter("event_fails", event_fails);
    sink.counter("queue_event_count", queue_event_count);
    sink.counter("rate_limiter_event_count", rate_limiter_event_count);
    sink.counter("rate_limiter_throttled_events", rate_limiter_throttled_events);
    sink.counter("io_engine_throttled_events", io_engine_throttled_events);
    sink.counter("update_count", update_count);
    sink.counter("update_fails", update_fails);
    sink.latency("read_agg", read_agg);
    sink.latency("write_agg", write_agg);
}

}  // namespace shoal::virtio
