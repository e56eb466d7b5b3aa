// What a microVM is made of, as its user says it: pure data, without a file or a device open.
//
// The names are those of Firecracker's API; a default here is the default of the API.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "devices/backend/rate_limiter.h"

namespace shoal::vmm {

enum class CpuTemplate { none, c3, t2, t2s, t2cl, t2a, v1n1 };
enum class HugePages { none, transparent, hugetlbfs_2m };

// Body of /machine-config. (`MachineConfig` is what the composition root takes.)
struct MachineShape {
    std::uint8_t vcpu_count = 1;
    std::uint64_t mem_size_mib = 128;
    bool smt = false;
    std::optional<CpuTemplate> cpu_template;
    bool track_dirty_pages = false;
    HugePages huge_pages = HugePages::none;
};

struct BootSourceConfig {
    std::string kernel_image_path;
    std::optional<std::string> initrd_path;
    std::optional<std::string> boot_args;  // absent: the default ones
};

enum class CacheType { unsafe, writeback };
enum class IoEngine { sync, async };

// Either a virtio block device over a file (`path_on_host`) or a vhost-user one (`socket`).
struct DriveConfig {
    std::string drive_id;
    std::optional<std::string> partuuid;
    bool is_root_device = false;
    CacheType cache_type = CacheType::unsafe;
    std::optional<bool> is_read_only;
    std::optional<std::string> path_on_host;
    std::optional<backend::RateLimiterConfig> rate_limiter;
    std::optional<IoEngine> io_engine;
    std::optional<bool> direct_io;  // ours: O_DIRECT, past the host's page cache
    std::optional<std::string> socket;
};

// Of a running microVM. Neither path nor limiter: a vhost-user drive's configuration is read again.
struct DriveUpdate {
    std::string drive_id;
    std::optional<std::string> path_on_host;
    std::optional<backend::RateLimiterConfig> rate_limiter;  // a bucket of zeros: no limit any more
};

using MacAddress = std::array<std::uint8_t, 6>;

struct NetworkInterfaceConfig {
    std::string iface_id;
    std::string host_dev_name;
    std::optional<MacAddress> guest_mac;
    std::optional<std::uint16_t> mtu;
    std::optional<backend::RateLimiterConfig> rx_rate_limiter;
    std::optional<backend::RateLimiterConfig> tx_rate_limiter;
};

struct NetworkInterfaceUpdate {
    std::string iface_id;
    std::optional<backend::RateLimiterConfig> rx_rate_limiter;
    std::optional<backend::RateLimiterConfig> tx_rate_limiter;
};

struct VsockConfig {
    std::optional<std::string> vsock_id;  // deprecated and without effect
    std::uint32_t guest_cid = 0;
    std::string uds_path;
};

struct EntropyConfig {
    std::optional<backend::RateLimiterConfig> rate_limiter;
};

struct SerialConfig {
    std::optional<std::string> serial_out_path;
    std::optional<backend::TokenBucketConfig> rate_limiter;  // bytes
};

struct BalloonConfig {
    std::uint32_t amount_mib = 0;
    bool deflate_on_oom = false;
    std::uint16_t stats_polling_interval_s = 0;  // 0: no statistics
    bool free_page_hinting = false;
    bool free_page_reporting = false;
};

struct MicrovmConfig {
    MachineShape machine;
    std::optional<BootSourceConfig> boot_source;
    std::vector<DriveConfig> drives;  // the root device, if there is one, is the first
    std::vector<NetworkInterfaceConfig> network_interfaces;
    std::optional<VsockConfig> vsock;
    std::optional<EntropyConfig> entropy;
    std::optional<SerialConfig> serial;
    std::optional<BalloonConfig> balloon;
};

}  // namespace shoal::vmm
