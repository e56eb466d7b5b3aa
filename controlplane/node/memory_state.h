// How short of memory a host is, by what the kernel says: so that nothing more is started before
// the kernel has to choose whom to kill.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal::node {

struct MemoryState {
    std::optional<std::uint64_t> available_mib;  // what can be had without swapping
    std::optional<double> stalled_percent;       // of 10 s, in which all work waited for memory
};

// Of /proc/meminfo and /proc/pressure/memory (PSI; not every kernel has it).
[[nodiscard]] MemoryState read_memory_state();
[[nodiscard]] std::optional<std::uint64_t> available_mib_in(std::string_view meminfo);
[[nodiscard]] std::optional<double> stalled_percent_in(std::string_view pressure);

// Why nothing should be started; empty: it may.
[[nodiscard]] std::string shortage(const MemoryState& state, std::uint64_t reserved_mib);
// Well above that: a quarter more than is reserved, half of those stalls.
[[nodiscard]] bool is_calm(const MemoryState& state, std::uint64_t reserved_mib);

}  // namespace shoal::node
