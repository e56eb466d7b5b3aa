// The counters' names.
#include "devices/virtio/vsock_metrics.h"

namespace shoal::virtio {

void VsockMetrics::report(host::MetricSink& sink) const {
    sink.counter("tx_queue_event_count", tx_queue_event_count);
    sink.counter("rx_queue_event_count", rx_queue_event_count);
    sink.counter("tx_bytes_count", tx_bytes_count);
    sink.counter("rx_bytes_count", rx_bytes_count);
    sink.counter("tx_packets_count", tx_packets_count);
    sink.counter("rx_packets_count", rx_packets_count);
    sink.counter("tx_write_fails", tx_write_fails);
    sink.counter("rx_read_fails", rx_read_fails);
    sink.counter("tx_malformed_count", tx_malformed_count);
    sink.counter("conns_added", conns_added);
    sink.counter("conns_killed", conns_killed);
    sink.counter("conns_removed", conns_removed);
    sink.counter("conns_refused", conns_refused);
}

}  // namespace shoal::virtio
