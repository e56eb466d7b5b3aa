// Field by field.
#include "vmm/machine/device_configs.h"

namespace shoal::vmm {

virtio::BlockConfig block_config(const DriveConfig& config) {
    virtio::BlockConfig result;
    result.disk.path = config.path_on_host.value_or("");
    if (config.is_read_only.value_or(false)) {
        result.disk.access = backend::DiskAccess::read_only;
    }
    if (config.io_engine == IoEngine::sync) {
        result.disk.io = backend::DiskIo::sync;
    }
    if (config.direct_io.value_or(false)) {
        result.disk.caching = backend::DiskCaching::direct;
    }
    if (config.cache_type == CacheType::writeback) {
        result.cache = virtio::CacheType::writeback;
    }
    result.rate_limiter = config.rate_limiter.value_or(backend::RateLimiterConfig{});
    return result;
}

virtio::NetConfig net_config(const NetworkInterfaceConfig& config) {
    return {config.guest_mac, config.mtu,
            config.rx_rate_limiter.value_or(backend::RateLimiterConfig{}),
            config.tx_rate_limiter.value_or(backend::RateLimiterConfig{})};
}

virtio::BalloonConfig balloon_config(const BalloonConfig& config) {
    return {config.amount_mib * balloon_pages_per_mib, config.deflate_on_oom,
            config.stats_polling_interval_s, config.free_page_hinting, config.free_page_reporting};
}

std::optional<boot::RootDevice> root_device(const MicrovmConfig& config) {
    if (config.drives.empty() || !config.drives.front().is_root_device) {
        return std::nullopt;
    }
    const DriveConfig& drive = config.drives.front();
    return boot::RootDevice{drive.partuuid, drive.is_read_only.value_or(false)
                                                ? boot::RootAccess::read_only
                                                : boot::RootAccess::read_write};
}

BalloonStatistics statistics_of(const virtio::BalloonStatisticsReport& report) {
    BalloonStatistics result;
    result.target_pages = report.target_pages;
    result.actual_pages = report.actual_pages;
    result.target_mib = report.target_pages / balloon_pages_per_mib;
    result.actual_mib = report.actual_pages / balloon_pages_per_mib;
    // By tag (virtio 1.2, 5.5.6.4), which is the order here too.
    std::size_t tag = 0;
    for (std::optional<std::uint64_t>* field :
         {&result.swap_in, &result.swap_out, &result.major_faults, &result.minor_faults,
          &result.free_memory, &result.total_memory, &result.available_memory, &result.disk_caches,
          &result.hugetlb_allocations, &result.hugetlb_failures, &result.oom_kill,
          &result.alloc_stall, &result.async_scan, &result.direct_scan, &result.async_reclaim,
          &result.direct_reclaim}) {
        if (tag < report.guest.size()) {
            *field = report.guest[tag++];
        }
    }
    return result;
}

}  // namespace shoal::vmm
