#include "vmm/machine/device_configs.h"

#include <doctest/doctest.h>

namespace shoal::vmm {
namespace {

TEST_CASE("what a drive's user does not say leaves the defaults") {
    DriveConfig drive;
    drive.path_on_host = "/disk";
    const virtio::BlockConfig config = block_config(drive);
    CHECK(config.disk.path == "/disk");
    CHECK(config.disk.access == backend::DiskAccess::read_write);
    CHECK(config.disk.caching == backend::DiskCaching::page_cache);
    CHECK(config.cache == virtio::CacheType::unsafe);
    CHECK_FALSE(config.rate_limiter.bandwidth);
    CHECK_FALSE(config.rate_limiter.ops);
}

TEST_CASE("what a drive's user says reaches the device") {
    DriveConfig drive;
    drive.path_on_host = "/disk";
    drive.cache_type = CacheType::writeback;
    drive.is_read_only = true;
    drive.io_engine = IoEngine::sync;
    drive.direct_io = true;
    drive.rate_limiter.emplace();
    drive.rate_limiter->ops = {10, {}, 100};
    const virtio::BlockConfig config = block_config(drive);
    CHECK(config.disk.access == backend::DiskAccess::read_only);
    CHECK(config.disk.io == backend::DiskIo::sync);
    CHECK(config.disk.caching == backend::DiskCaching::direct);
    CHECK(config.cache == virtio::CacheType::writeback);
    CHECK(config.rate_limiter.ops->size == 10);
}

TEST_CASE("the guest's root is the first drive, if that is a root device") {
    MicrovmConfig config;
    CHECK_FALSE(root_device(config));
    DriveConfig& drive = config.drives.emplace_back();
    CHECK_FALSE(root_device(config));
    drive.is_root_device = true;
    drive.partuuid = "0eaa91a0-01";
    CHECK(root_device(config)->partuuid == "0eaa91a0-01");
    CHECK(root_device(config)->access == boot::RootAccess::read_write);
    drive.is_read_only = true;
    CHECK(root_device(config)->access == boot::RootAccess::read_only);
}

TEST_CASE("balloons are counted in MiB outside and in pages inside") {
    BalloonConfig config;
    config.amount_mib = 3;
    CHECK(balloon_config(config).target_pages == 768);
    virtio::BalloonStatisticsReport report{512, 257, {}};
    report.guest.front() = 5;  // tag 0: swapped in
    const BalloonStatistics statistics = statistics_of(report);
    CHECK(statistics.target_mib == 2);
    CHECK(statistics.actual_mib == 1);
    CHECK(statistics.swap_in == 5);
    CHECK_FALSE(statistics.swap_out);
}

}  // namespace
}  // namespace shoal::vmm
