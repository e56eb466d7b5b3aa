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
#include <future>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/document.h"
#include "controlplane/cli/pages.h"
#include "devices/host/clock.h"

namespace shoal::cli {
namespace {

namespace json = boost::json;

struct Seen {
    std::uint64_t at_us = 0;
    std::int64_t cpu_us = 0;
};
using Look = std::map<std::string, Seen>;  // by microVM

// So many hosts are asked at once.
constexpr std::size_t asked_at_once = 16;

std::int64_t number(const json::value& item, std::string_view path) {
    const json::value* found = find(item, path);
    return found != nullptr && found->is_int64() ? found->get_int64() : 0;
}

std::string tenths(double value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.1f", value);
    return text.data();
}

// What a host says, or why it says nothing.
struct HostAnswer {
    std::string host;
    json::array items;
    std::uint64_t at_us = 0;
    std::string trouble;
};

HostAnswer ask(const Client& client, const std::string& host) {
    HostAnswer answer{host, {}, 0, {}};
    try {
        answer.items = all_pages(client, "/v1/usage", "&host=" + percent_encode(host));
        answer.at_us = host::monotonic_us();
    } catch (const CliError& error) {
        answer.trouble = error.what();
    }
    return answer;
}

// Of those whose microVMs the answer before could not have: all but the one that answers.
std::vector<HostAnswer> ask_hosts(const Client& client) {
    const json::value self = parse_json(client.call({"GET", "/v1/host"}).body, "shoald's answer");
    std::vector<HostAnswer> answers;
    std::vector<std::string> to_ask;
    for (const json::value& host : all_pages(client, "/v1/hosts")) {
        const std::string name = text_of(find(host, "name"));
        const std::string health = text_of(find(host, "health"));
        if (name == text_of(find(self, "name")) || number(host, "used.microvms") == 0) {
            continue;
        }
        if (health == "alive") {
            to_ask.push_back(name);
        } else {
            answers.push_back({name, {}, 0, "host " + name + " is " + health});
        }
    }
    for (std::size_t at = 0; at < to_ask.size(); at += asked_at_once) {
        std::vector<std::future<HostAnswer>> asked;
        for (std::size_t i = at; i < std::min(to_ask.size(), at + asked_at_once); ++i) {
            asked.push_back(std::async(std::launch::async, ask, std::cref(client), to_ask[i]));
        }
        for (std::future<HostAnswer>& answer : asked) {
            answers.push_back(answer.get());
        }
    }
    return answers;
}

struct Row {
    json::object shown;
    std::uint64_t at_us = 0;
};
using Rows = std::map<std::string, Row>;  // by microVM

void put(Rows& rows, const json::array& items, std::uint64_t at_us) {
    for (const json::value& item : items) {
        rows[text_of(find(item, "name"))] = {item.as_object(), at_us};
    }
}

// Adds what the table shows, the hungriest first.
json::array with_shares(const Rows& rows, const Look& before, Look& now) {
    std::vector<std::pair<double, json::object>> shares;
    for (const auto& [name, row] : rows) {
        json::object shown = row.shown;
        const json::value item = shown;  // with braces it would be an array
        const std::int64_t cpu_us = number(item, "cpu_us");
        now[name] = {row.at_us, cpu_us};
        const auto seen = before.find(name);
        double share = -1;
        if (seen != before.end() && row.at_us > seen->second.at_us) {
            share = 100 *
                    static_cast<double>(std::max<std::int64_t>(cpu_us - seen->second.cpu_us, 0)) /
                    static_cast<double>(row.at_us - seen->second.at_us);
        }
        if (number(item, "memory_bytes") > 0) {
            shown["mib"] = tenths(static_cast<double>(number(item, "memory_bytes")) / (1 << 20));
        }
        if (share >= 0) {
            shown["share"] = tenths(share);
        }
        shares.emplace_back(share, std::move(shown));
    }
    std::ranges::stable_sort(shares, std::greater{}, [](const auto& row) { return row.first; });
    json::array sorted;
    for (auto& [share, row] : shares) {
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
        Rows rows;
        put(rows, all_pages(client, "/v1/usage"), host::monotonic_us());
        std::string troubles;
        for (const HostAnswer& answer : ask_hosts(client)) {
            put(rows, answer.items, answer.at_us);
            if (!answer.trouble.empty()) {
                troubles += "not shown of host " + answer.host + ": " + answer.trouble + "\n";
            }
        }
        Look now;
        const json::array items = with_shares(rows, before, now);
        const std::string table = to_table(items, {{"NAME", "name"},
                                                   {"PHASE", "phase"},
                                                   {"CPU %", "share"},
                                                   {"MIB", "mib"},
                                                   {"OF", "memory_mib"},
                                                   {"RESTARTS", "restarts"},
                                                   {"HOST", "host"},
                                                   {"PROJECT", "project"}});
        // Home, and everything behind the cursor goes.
        std::printf("%s%s%s%s",
                    is_terminal ? "\x1b[H\x1b[J"
                    : round > 0 ? "\n"
                                : "",
                    table.c_str(), troubles.c_str(), is_terminal ? "\x1b[J" : "");
        std::fflush(stdout);
        before = std::move(now);
    }
}

}  // namespace shoal::cli
