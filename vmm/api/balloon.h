// /balloon, /balloon/statistics and /balloon/hinting
#pragma once

#include "vmm/api/action.h"

namespace shoal::api {

template <>
struct Description<vmm::BalloonConfig> {
    using Body = vmm::BalloonConfig;
    static constexpr std::string_view name = "Balloon";
    static constexpr std::tuple fields{
        required("amount_mib", &Body::amount_mib),
        required("deflate_on_oom", &Body::deflate_on_oom),
        optional("stats_polling_interval_s", &Body::stats_polling_interval_s),
        optional("free_page_hinting", &Body::free_page_hinting),
        optional("free_page_reporting", &Body::free_page_reporting),
    };
};

struct BalloonUpdate {
    std::uint32_t amount_mib = 0;
};

template <>
struct Description<BalloonUpdate> {
    static constexpr std::string_view name = "BalloonUpdate";
    static constexpr std::tuple fields{required("amount_mib", &BalloonUpdate::amount_mib)};
};

struct BalloonStatsUpdate {
    std::uint16_t stats_polling_interval_s = 0;
};

template <>
struct Description<BalloonStatsUpdate> {
    static constexpr std::string_view name = "BalloonStatsUpdate";
    static constexpr std::tuple fields{
        required("stats_polling_interval_s", &BalloonStatsUpdate::stats_polling_interval_s)};
};

template <>
struct Description<vmm::HintingStart> {
    static constexpr std::string_view name = "BalloonStartCmd";
    static constexpr std::tuple fields{
        optional("acknowledge_on_stop", &vmm::HintingStart::acknowledge_on_stop)};
};

template <>
struct Description<vmm::HintingStatus> {
    static constexpr std::string_view name = "BalloonHintingStatus";
    static constexpr std::tuple fields{
        required("host_cmd", &vmm::HintingStatus::host_cmd),
        optional("guest_cmd", &vmm::HintingStatus::guest_cmd),
    };
};

template <>
struct Description<vmm::BalloonStatistics> {
    using Body = vmm::BalloonStatistics;
    static constexpr std::string_view name = "BalloonStats";
    static constexpr std::tuple fields{
        required("target_pages", &Body::target_pages),
        required("actual_pages", &Body::actual_pages),
        required("target_mib", &Body::target_mib),
        required("actual_mib", &Body::actual_mib),
        sparse("swap_in", &Body::swap_in),
        sparse("swap_out", &Body::swap_out),
        sparse("major_faults", &Body::major_faults),
        sparse("minor_faults", &Body::minor_faults),
        sparse("free_memory", &Body::free_memory),
        sparse("total_memory", &Body::total_memory),
        sparse("available_memory", &Body::available_memory),
        sparse("disk_caches", &Body::disk_caches),
        sparse("hugetlb_allocations", &Body::hugetlb_allocations),
        sparse("hugetlb_failures", &Body::hugetlb_failures),
        sparse("oom_kill", &Body::oom_kill),
        sparse("alloc_stall", &Body::alloc_stall),
        sparse("async_scan", &Body::async_scan),
        sparse("direct_scan", &Body::direct_scan),
        sparse("async_reclaim", &Body::async_reclaim),
        sparse("direct_reclaim", &Body::direct_reclaim),
    };
};

[[nodiscard]] ParsedRequest parse_get_balloon(const Call& call);
[[nodiscard]] ParsedRequest parse_put_balloon(const Call& call);
[[nodiscard]] ParsedRequest parse_patch_balloon(const Call& call);
[[nodiscard]] ParsedRequest parse_get_balloon_statistics(const Call& call);
[[nodiscard]] ParsedRequest parse_patch_balloon_statistics(const Call& call);
[[nodiscard]] ParsedRequest parse_start_hinting(const Call& call);
[[nodiscard]] ParsedRequest parse_get_hinting_status(const Call& call);
[[nodiscard]] ParsedRequest parse_stop_hinting(const Call& call);

// Throws Fault.
void set_balloon(Context& context, const vmm::BalloonConfig& balloon);

}  // namespace shoal::api
