// The memory balloon (virtio 1.2, 5.5): features, configuration, statistics, hinting commands.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace shoal::abi::virtio::balloon {

inline constexpr std::uint64_t feature_statistics = 1ULL << 1;
inline constexpr std::uint64_t feature_deflate_on_oom = 1ULL << 2;
inline constexpr std::uint64_t feature_free_page_hint = 1ULL << 3;
inline constexpr std::uint64_t feature_reporting = 1ULL << 5;

// Queues 0 and 1; those of the negotiated features follow without a gap, in this order: statistics,
// hinting, reporting. (The specification numbers them 2, 3 and 4; drivers and devices do not.)
inline constexpr std::uint32_t inflate_queue = 0;
inline constexpr std::uint32_t deflate_queue = 1;
inline constexpr std::uint32_t first_optional_queue = 2;

struct Config {
    std::uint32_t num_pages;              // the device's wish
    std::uint32_t actual;                 // written by the driver
    std::uint32_t free_page_hint_cmd_id;  // the device's
};
static_assert(sizeof(Config) == 12);
inline constexpr std::uint64_t config_actual_offset = 4;

// Page frame numbers are of 4 KiB pages, whatever the guest's page size is.
inline constexpr unsigned pfn_shift = 12;

// One of the driver's statistics, packed to 10 bytes.
inline constexpr std::size_t statistic_bytes = 10;
inline constexpr std::size_t statistic_value_offset = 2;

// Tags of some.
inline constexpr std::uint16_t tag_free_memory = 4;
inline constexpr std::uint16_t tag_total_memory = 5;
inline constexpr std::uint16_t tag_available_memory = 6;

// By tag (5.5.6.4; 10 and up are Linux's), as Firecracker names them.
inline constexpr std::array<std::string_view, 16> statistic_names{
    "swap_in",        "swap_out",         "major_faults", "minor_faults",        "free_memory",
    "total_memory",   "available_memory", "disk_caches",  "hugetlb_allocations", "hugetlb_failures",
    "oom_kill",       "alloc_stall",      "async_scan",   "direct_scan",         "async_reclaim",
    "direct_reclaim",
};

// Commands of free page hinting (5.5.6.6); anything else is the number of a run.
inline constexpr std::uint32_t hint_stop = 0;
inline constexpr std::uint32_t hint_done = 1;
inline constexpr std::uint32_t hint_first_run = 2;

}  // namespace shoal::abi::virtio::balloon
