// The fields of devices' states, in the order in which a file has them (fields.h).
#pragma once

#include <tuple>

#include "vmm/machine/machine_state.h"
#include "vmm/state/fields.h"

namespace shoal::state {

template <>
struct Fields<legacy::IoApicState> {
    using T = legacy::IoApicState;
    static constexpr std::tuple list{&T::selected, &T::id, &T::entries};
};
template <>
struct Fields<legacy::SerialState> {
    using T = legacy::SerialState;
    static constexpr std::tuple list{
        &T::interrupt_enable, &T::line_control, &T::modem_control,        &T::fifo_control,
        &T::scratch,          &T::divisor,      &T::transmitter_was_busy, &T::transmit_interrupt,
        &T::received,         &T::to_send};
};
template <>
struct Fields<legacy::KeyboardState> {
    using T = legacy::KeyboardState;
    static constexpr std::tuple list{&T::command, &T::scan_code_set, &T::is_scanning, &T::to_send};
};
template <>
struct Fields<legacy::I8042State> {
    using T = legacy::I8042State;
    static constexpr std::tuple list{&T::control, &T::controller_command, &T::last_was_command,
                                     &T::reply, &T::keyboard};
};

template <>
struct Fields<virtio::QueueLayout> {
    using T = virtio::QueueLayout;
    static constexpr std::tuple list{&T::size, &T::descriptors, &T::avail, &T::used};
};
template <>
struct Fields<virtio::QueueState> {
    using T = virtio::QueueState;
    static constexpr std::tuple list{&T::next_avail, &T::next_used, &T::signalled_used};
};
template <>
struct Fields<virtio::MmioQueueState> {
    using T = virtio::MmioQueueState;
    static constexpr std::tuple list{&T::layout, &T::is_ready, &T::position};
};
template <>
struct Fields<virtio::MmioTransportState> {
    using T = virtio::MmioTransportState;
    static constexpr std::tuple list{&T::status,
                                     &T::trouble,
                                     &T::interrupt_status,
                                     &T::config_generation,
                                     &T::device_features_select,
                                     &T::driver_features_select,
                                     &T::driver_features,
                                     &T::queue_select,
                                     &T::queues};
};

template <>
struct Fields<backend::TokenBucketConfig> {
    using T = backend::TokenBucketConfig;
    static constexpr std::tuple list{&T::size, &T::one_time_burst, &T::refill_time_ms};
};
template <>
struct Fields<backend::RateLimiterConfig> {
    using T = backend::RateLimiterConfig;
    static constexpr std::tuple list{&T::bandwidth, &T::ops};
};
template <>
struct Fields<backend::TokenBucketState> {
    using T = backend::TokenBucketState;
    static constexpr std::tuple list{&T::budget, &T::burst_left, &T::since_refill_ns};
};
template <>
struct Fields<backend::RateLimiterState> {
    using T = backend::RateLimiterState;
    static constexpr std::tuple list{&T::bandwidth, &T::ops, &T::blocked_ns};
};
template <>
struct Fields<virtio::NetBudgets> {
    using T = virtio::NetBudgets;
    static constexpr std::tuple list{&T::rx, &T::tx};
};
template <>
struct Fields<vmm::RateBudgets> {
    using T = vmm::RateBudgets;
    static constexpr std::tuple list{&T::drives, &T::network_interfaces, &T::entropy};
};
template <>
struct Fields<virtio::BlockState> {
    using T = virtio::BlockState;
    static constexpr std::tuple list{&T::features, &T::capacity_sectors, &T::block_bytes, &T::id,
                                     &T::rate_limiter};
};
template <>
struct Fields<virtio::NetConfig> {
    using T = virtio::NetConfig;
    static constexpr std::tuple list{&T::guest_mac, &T::mtu, &T::rx_rate_limiter,
                                     &T::tx_rate_limiter};
};
template <>
struct Fields<virtio::NetState> {
    using T = virtio::NetState;
    static constexpr std::tuple list{&T::config};
};
template <>
struct Fields<virtio::VsockConfig> {
    using T = virtio::VsockConfig;
    static constexpr std::tuple list{&T::guest_cid, &T::uds_path};
};
template <>
struct Fields<virtio::VsockState> {
    using T = virtio::VsockState;
    static constexpr std::tuple list{&T::config};
};
template <>
struct Fields<virtio::EntropyState> {
    using T = virtio::EntropyState;
    static constexpr std::tuple list{&T::waiting};
};

template <>
struct LastOf<virtio::AcknowledgeOnStop> {
    static constexpr auto value = virtio::AcknowledgeOnStop::yes;
};
template <>
struct Fields<virtio::HintingStatus> {
    using T = virtio::HintingStatus;
    static constexpr std::tuple list{&T::host_cmd, &T::guest_cmd};
};
template <>
struct Fields<virtio::HintingState> {
    using T = virtio::HintingState;
    static constexpr std::tuple list{&T::status, &T::last_run, &T::acknowledge};
};
template <>
struct Fields<virtio::BalloonStatisticsReport> {
    using T = virtio::BalloonStatisticsReport;
    static constexpr std::tuple list{&T::target_pages, &T::actual_pages, &T::guest};
};
template <>
struct Fields<virtio::BalloonState> {
    using T = virtio::BalloonState;
    static constexpr std::tuple list{&T::statistics, &T::stats_polling_interval_s,
                                     &T::statistics_buffer, &T::hinting};
};

}  // namespace shoal::state
