// What a block device counts, under Firecracker's names where it has them.
#pragma once

#include <cstdint>

#include "devices/host/metrics.h"

namespace shoal::virtio {

struct BlockMetrics {
    std::uint64_t read_bytes = 0;
    std::uint64_t read_count = 0;
    std::uint64_t write_bytes = 0;
    std::uint64_t write_count = 0;
    std::uint64_t flush_count = 0;
    std::uint64_t discard_bytes = 0;
    std::uint64_t discard_count = 0;
    std::uint64_t write_zeroes_bytes = 0;
    std::uint64_t write_zeroes_count = 0;
    std::uint64_t execute_fails = 0;       // answered with an I/O error
    std::uint64_t invalid_reqs_count = 0;  // of an unknown kind, or malformed
    std::uint64_t event_fails = 0;         // the driver broke the queue's rules
    std::uint64_t queue_event_count = 0;
    std::uint64_t rate_limiter_event_count = 0;
    std::uint64_t rate_limiter_throttled_events = 0;
    std::uint64_t io_engine_throttled_events = 0;  // as many in flight as there may be
    std::uint64_t update_count = 0;
    std::uint64_t update_fails = 0;
    // From the moment a request is taken from the queue to its answer, when it went well.
    host::Latency read_agg;
    host::Latency write_agg;

    void report(host::MetricSink& sink) const;

    friend bool operator==(const BlockMetrics&, const BlockMetrics&) = default;
};

}  // namespace shoal::virtio
