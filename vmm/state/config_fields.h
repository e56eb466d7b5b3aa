// The fields of a microVM's configuration (fields.h).
#pragma once

#include <tuple>

#include "vmm/machine/config.h"
#include "vmm/state/device_fields.h"

namespace shoal::state {

template <>
struct LastOf<vmm::CpuTemplate> {
    static constexpr auto value = vmm::CpuTemplate::v1n1;
};
template <>
struct LastOf<vmm::HugePages> {
    static constexpr auto value = vmm::HugePages::hugetlbfs_2m;
};
template <>
struct LastOf<vmm::CacheType> {
    static constexpr auto value = vmm::CacheType::writeback;
};
template <>
struct LastOf<vmm::IoEngine> {
    static constexpr auto value = vmm::IoEngine::async;
};

template <>
struct Fields<vmm::MachineShape> {
    using T = vmm::MachineShape;
    static constexpr std::tuple list{&T::vcpu_count,   &T::mem_size_mib,      &T::smt,
                                     &T::cpu_template, &T::track_dirty_pages, &T::huge_pages};
};
template <>
struct Fields<vmm::BootSourceConfig> {
    using T = vmm::BootSourceConfig;
    static constexpr std::tuple list{&T::kernel_image_path, &T::initrd_path, &T::boot_args};
};
template <>
struct Fields<vmm::DriveConfig> {
    using T = vmm::DriveConfig;
    static constexpr std::tuple list{
        &T::drive_id,     &T::partuuid,     &T::is_root_device, &T::cache_type, &T::is_read_only,
        &T::path_on_host, &T::rate_limiter, &T::io_engine,      &T::direct_io,  &T::socket};
};
template <>
struct Fields<vmm::NetworkInterfaceConfig> {
    using T = vmm::NetworkInterfaceConfig;
    static constexpr std::tuple list{&T::iface_id, &T::host_dev_name,   &T::guest_mac,
                                     &T::mtu,      &T::rx_rate_limiter, &T::tx_rate_limiter};
};
template <>
struct Fields<vmm::VsockConfig> {
    using T = vmm::VsockConfig;
    static constexpr std::tuple list{&T::vsock_id, &T::guest_cid, &T::uds_path};
};
template <>
struct Fields<vmm::EntropyConfig> {
    using T = vmm::EntropyConfig;
    static constexpr std::tuple list{&T::rate_limiter};
};
template <>
struct Fields<vmm::SerialConfig> {
    using T = vmm::SerialConfig;
    static constexpr std::tuple list{&T::serial_out_path, &T::rate_limiter};
};
template <>
struct Fields<vmm::BalloonConfig> {
    using T = vmm::BalloonConfig;
    static constexpr std::tuple list{&T::amount_mib, &T::deflate_on_oom,
                                     &T::stats_polling_interval_s, &T::free_page_hinting,
                                     &T::free_page_reporting};
};
template <>
struct Fields<vmm::MicrovmConfig> {
    using T = vmm::MicrovmConfig;
    static constexpr std::tuple list{
        &T::machine, &T::boot_source, &T::drives, &T::network_interfaces,
        &T::vsock,   &T::entropy,     &T::serial, &T::balloon};
};

}  // namespace shoal::state
