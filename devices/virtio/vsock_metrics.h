// What a vsock device counts. Names as Firecracker has them: tx is from the guest, rx is to it.
#pragma once

#include <cstdint>

#include "devices/host/metrics.h"

namespace shoal::virtio {

struct VsockMetrics {
    std::uint64_t tx_queue_event_count = 0;
    std::uint64_t rx_queue_event_count = 0;
    std::uint64_t tx_bytes_count = 0;
    std::uint64_t rx_bytes_count = 0;
    std::uint64_t tx_packets_count = 0;
    std::uint64_t rx_packets_count = 0;
    std::uint64_t tx_write_fails = 0;      // to a unix socket
    std::uint64_t rx_read_fails = 0;       // from a unix socket
    std::uint64_t tx_malformed_count = 0;  // ours: packets from the guest that were dropped
    std::uint64_t conns_added = 0;
    std::uint64_t conns_killed = 0;   // by us: time is up, a failure, or a guest that cheats
    std::uint64_t conns_removed = 0;  // for whatever reason
    std::uint64_t conns_refused = 0;  // ours: nobody listens, or a limit is reached

    void report(host::MetricSink& sink) const;
};

}  // namespace shoal::virtio
