// BalloonMetrics: a balloon's counters, by Firecracker's names.
#pragma once

#include <cstdint>

#include "devices/host/metrics.h"

namespace shoal::virtio {

struct BalloonMetrics {
    std::uint64_t activate_fails = 0;
    std::uint64_t cfg_fails = 0;  // writes to what the driver may not write
    std::uint64_t inflate_count = 0;
    std::uint64_t stats_updates_count = 0;
    std::uint64_t stats_update_fails = 0;
    std::uint64_t deflate_count = 0;
    std::uint64_t event_fails = 0;  // inflated pages that are none, and malformed queues
    std::uint64_t free_page_report_count = 0;
    std::uint64_t free_page_report_freed = 0;  // bytes
    std::uint64_t free_page_report_fails = 0;
    std::uint64_t free_page_hint_count = 0;
    std::uint64_t free_page_hint_freed = 0;  // bytes
    std::uint64_t free_page_hint_fails = 0;

    void report(host::MetricSink& sink) const {
        sink.counter("activate_fails", activate_fails);
        sink.counter("cfg_fails", cfg_fails);
        sink.counter("inflate_count", inflate_count);
        sink.counter("stats_updates_count", stats_updates_count);
        sink.counter("stats_update_fails", stats_update_fails);
        sink.counter("deflate_count", deflate_count);
        sink.counter("event_fails", event_fails);
        sink.counter("free_page_report_count", free_page_report_count);
        sink.counter("free_page_report_freed", free_page_report_freed);
        sink.counter("free_page_report_fails", free_page_report_fails);
        sink.counter("free_page_hint_count", free_page_hint_count);
        sink.counter("free_page_hint_freed", free_page_hint_freed);
        sink.counter("free_page_hint_fails", free_page_hint_fails);
    }
};

}  // namespace shoal::virtio
