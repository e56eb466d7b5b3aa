// Lines of words and numbers (proc(5), Documentation/accounting/psi.rst).
#include "controlplane/node/memory_state.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

namespace shoal::node {
namespace {

// A tenth of the time lost to waiting: reclaim has been losing for a while.
constexpr double most_stalled_percent = 10;

std::string read_file(const char* path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

// The number behind `field`, on the line that begins with `line`.
template <typename Number>
std::optional<Number> number_behind(std::string_view text, std::string_view line,
                                    std::string_view field) {
    while (!text.empty()) {
        std::string_view here = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(here.size() + 1, text.size()));
        const std::size_t at = here.find(field);
        if (!here.starts_with(line) || at == std::string_view::npos) {
            continue;
        }
        here.remove_prefix(at + field.size());
        here.remove_prefix(std::min(here.find_first_not_of(' '), here.size()));
        Number number{};
        const auto [rest, error] = std::from_chars(here.data(), here.data() + here.size(), number);
        return error == std::errc{} ? std::optional{number} : std::nullopt;
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> available_mib_in(std::string_view meminfo) {
    const auto kib = number_behind<std::uint64_t>(meminfo, "MemAvailable:", ":");
    return kib ? std::optional{*kib >> 10} : std::nullopt;
}

std::optional<double> stalled_percent_in(std::string_view pressure) {
    return number_behind<double>(pressure, "full ", "avg10=");
}

MemoryState read_memory_state() {
    return {available_mib_in(read_file("/proc/meminfo")),
            stalled_percent_in(read_file("/proc/pressure/memory"))};
}

// The limits, and not what there is: that changes all the time, and each waiting microVM's status
// with it.
std::string shortage(const MemoryState& state, std::uint64_t reserved_mib) {
    if (state.available_mib && *state.available_mib < reserved_mib) {
        return "the host has less than " + std::to_string(reserved_mib) +
               " MiB available, which are reserved";
    }
    if (state.stalled_percent && *state.stalled_percent >= most_stalled_percent) {
        return "the host is short of memory: in " +
               std::to_string(static_cast<int>(most_stalled_percent)) +
               "% of the last 10 s or more everything waited for it";
    }
    return {};
}

bool is_calm(const MemoryState& state, std::uint64_t reserved_mib) {
    const bool has_some =
        !state.available_mib || *state.available_mib >= reserved_mib + reserved_mib / 4;
    return has_some && state.stalled_percent.value_or(0) < most_stalled_percent / 2;
}

}  // namespace shoal::node
