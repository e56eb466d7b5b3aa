// The counters by their names.
#include "devices/virtio/net_metrics.h"

namespace shoal::virtio {

void NetMetrics::report(host::MetricSink& sink) const {
    sink.counter("rx_bytes_count", rx_bytes_count);
    sink.counter("rx_packets_count", rx_packets_count);
    sink.counter("rx_fails", rx_fails);
    sink.counter("rx_tap_event_count", rx_tap_event_count);
    sink.counter("rx_partial_writes", rx_partial_writes);
    sink.counter("rx_rate_limiter_throttled", rx_rate_limiter_throttled);
    sink.counter("no_rx_avail_buffer", no_rx_avail_buffer);
    sink.counter("tap_read_fails", tap_read_fails);
    sink.counter("tx_bytes_count", tx_bytes_count);
    sink.counter("tx_packets_count", tx_packets_count);
    sink.counter("tx_fails", tx_fails);
    sink.counter("tx_malformed_frames", tx_malformed_frames);
    sink.counter("tx_rate_limiter_throttled", tx_rate_limiter_throttled);
    sink.counter("tx_spoofed_mac_count", tx_spoofed_mac_count);
    sink.counter("tap_write_fails", tap_write_fails);
    sink.latency("tap_write_agg", tap_write_agg);
}

}  // namespace shoal::virtio
