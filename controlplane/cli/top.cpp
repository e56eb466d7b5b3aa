// CPU is what was used between two looks.
#include "controlplane/cli/top.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/cli/document.h"
#include "controlplane/cli/pages.h"
#include "devices/host/clock.h"

namespace shoal::cli {
namespace {

namespace json = boost::json;

struct Look {
    std::uint64_t at_us = 0;
    std::map<std::string, std::int64_t> cpu_us;
};

std::int64_t number(const json::value& item, std::string_view path) {
    const json::value* found = find(item, path);
    return found != nullptr && found->is_int64() ? found->get_int64() : 0;
}

std::string tenths(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.1f", value);
    return text.data();
}

// Adds what the table shows, the hungriest first.
json::array with_shares(const json::array& items, const Look& before, Look& now) {
    std::vector<std::pair<double, json::object>> rows;
    for (const json::value& item : items) {
        json::object row = item.as_object();
        const std::string name = text_of(find(item, "name"));
        const std::int64_t cpu_us = number(item, "cpu_us");
        now.cpu_us[name] = cpu_us;
        const auto seen = before.cpu_us.find(name);
        double share = -1;
        if (seen != before.cpu_us.end() && now.at_us > before.at_us) {
            share = 100 * static_cast<double>(std::max<std::int64_t>(cpu_us - seen->second, 0)) /
                    static_cast<double>(now.at_us - before.at_us);
        }
        if (number(item, "memory_bytes") > 0) {
            row["mib"] = tenths(static_cast<double>(number(item, "memory_bytes")) / (1 << 20));
        }
        if (share >= 0) {
            row["share"] = tenths(share);
        }
        rows.emplace_back(share, std::move(row));
    }
    std::ranges::stable_sort(rows, std::greater{}, [](const auto& row) { return row.first; });
    json::array sorted;
    for (auto& [share, row] : rows) {
        sorted.push_back(std::move(row));
    }
    return sorted;
}

}  // namespace

void top(const Client& client, const TopOptions& options) {
    const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
    Look before;
    for (std::uint64_t round = 0; options.count == 0 || round < options.count; ++round) {
        if (round > 0) {
            const timespec pause{static_cast<time_t>(options.interval_s), 0};
            ::nanosleep(&pause, nullptr);
        }
        Look now{host::monotonic_us(), {}};
        const json::array items = with_shares(all_pages(client, "/v1/usage"), before, now);
        const std::string table = to_table(items, {{"NAME", "name"},
                                                   {"PHASE", "phase"},
                                                   {"CPU %", "share"},
                                                   {"MIB", "mib"},
                                                   {"OF", "memory_mib"},
                                                   {"RESTARTS", "restarts"},
                                                   {"PROJECT", "project"}});
        // Home, and everything behind the cursor goes.
        std::printf("%s%s%s",
                    is_terminal ? "\x1b[H\x1b[J"
                    : round > 0 ? "\n"
                                : "",
                    table.c_str(), is_terminal ? "\x1b[J" : "");
        std::fflush(stdout);
        before = std::move(now);
    }
}

}  // namespace shoal::cli
