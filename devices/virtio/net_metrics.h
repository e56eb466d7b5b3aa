// NetMetrics: what a network device counts. Firecracker's names.
#pragma once

#include <cstdint>

#include "devices/host/metrics.h"

namespace shoal::virtio {

// Bytes are those of Ethernet frames, without virtio's header.
struct NetMetrics {
    std::uint64_t rx_bytes_count = 0;
    std::uint64_t rx_packets_count = 0;
    std::uint64_t rx_fails = 0;            // packets that the driver did not get
    std::uint64_t rx_tap_event_count = 0;  // how often the TAP woke the device
    std::uint64_t rx_partial_writes = 0;   // packets that had to wait for more buffers
    std::uint64_t rx_rate_limiter_throttled = 0;
    std::uint64_t no_rx_avail_buffer = 0;  // how often the driver had given no buffer at all
    std::uint64_t tap_read_fails = 0;
    std::uint64_t tx_bytes_count = 0;
    std::uint64_t tx_packets_count = 0;
    std::uint64_t tx_fails = 0;             // packets that did not get to the TAP
    std::uint64_t tx_malformed_frames = 0;  // of these, those of an impossible size
    std::uint64_t tx_rate_limiter_throttled = 0;
    std::uint64_t tx_spoofed_mac_count = 0;  // sent, but from another address than the device's
    std::uint64_t tap_write_fails = 0;
    host::Latency tap_write_agg;  // of all writes to the TAP

    void report(host::MetricSink& sink) const;
};

}  // namespace shoal::virtio
