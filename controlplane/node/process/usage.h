// What a running microVM uses of its host, as the kernel counts it for its VMM.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace shoal::node {

struct ProcessUsage {
    std::uint64_t cpu_us = 0;        // since it was started
    std::uint64_t memory_bytes = 0;  // resident; what clones share counts for each
};

// Of the VMM whose run folder this is; nothing when there is none.
[[nodiscard]] std::optional<ProcessUsage> usage_in(const std::string& run_folder);

// Of /proc/PID/stat (proc(5)): utime and stime, in ticks.
[[nodiscard]] std::optional<std::uint64_t> cpu_ticks_in(const std::string& stat);

}  // namespace shoal::node
