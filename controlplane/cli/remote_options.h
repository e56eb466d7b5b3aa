// What can be asked of a shoald, as it was typed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "controlplane/cli/client.h"
#include "controlplane/cli/kinds.h"

namespace CLI {
class App;
}

namespace shoal::cli {

enum class Output { table, json };

struct GetOptions {
    Kind kind = Kind::microvm;
    std::string name;  // empty: all
    std::string label;
    Output output = Output::table;
};
struct DescribeOptions {
    Kind kind = Kind::microvm;
    std::string name;
};
struct ApplyOptions {
    enum class Mode { create, apply };
    Mode mode = Mode::apply;
    std::string file;  // "-": standard input
    Output output = Output::table;
    bool is_dry_run = false;
    bool waits = false;                  // for the end of the one microVM that is created
    std::optional<std::uint64_t> count;  // of microVMs that are created; absent: one
};
struct WaitOptions {
    std::string name;
};
struct TopOptions {
    std::uint64_t interval_s = 2;
    std::uint64_t count = 0;  // how many tables; 0: until it is ended
};
struct CallOptions {
    std::string name;
    std::uint64_t port = 0;
    std::uint64_t timeout_s = 30;
};
// A command in a microVM.
struct ExecOptions {
    std::string name;
    std::string folder;  // empty: the program's
    std::vector<std::string> env;
    std::vector<std::string> words;
};
struct ConsoleOptions {
    std::string name;
    std::uint64_t tail = 10;  // lines of what it has printed before
    bool is_raw = false;
    bool is_forced = false;  // whoever is attached already is cut off
};
struct StopOptions {
    std::vector<std::string> names;
    std::uint64_t grace_s = 10;
};
struct LogsOptions {
    enum class Until { now, end };
    std::string name;
    Until until = Until::now;
};
struct DeleteOptions {
    Kind kind = Kind::microvm;
    std::vector<std::string> names;
    std::uint64_t grace_s = 10;
};
struct ScaleOptions {
    std::string group;
    std::uint64_t count = 0;
};
// Whether a host takes more microVMs, and keeps those that it has.
struct ScheduleOptions {
    std::string host;
    std::string scheduling;  // enabled, cordoned or draining
    bool waits = true;       // for a drain to be done
};
struct EventsOptions {
    std::optional<std::uint64_t> since;  // a resource_version; absent: from now on
};
// A token with which other hosts join.
struct TokenOptions {
    std::uint64_t uses = 1;
    std::uint64_t ttl_s = 600;
};
// `shoal image import`
struct ImportOptions {
    std::string from;
    std::string name;     // empty: as `from` calls it
    std::string cmdline;  // of a kernel; empty: shoald's default
};
struct BackupOptions {
    std::string file;
};

struct RemoteOptions {
    std::string socket = default_socket;
    std::variant<GetOptions, DescribeOptions, ApplyOptions, LogsOptions, DeleteOptions,
                 ScaleOptions, ScheduleOptions, EventsOptions, BackupOptions, WaitOptions,
                 CallOptions, TopOptions, TokenOptions, ImportOptions, ExecOptions, StopOptions,
                 ConsoleOptions>
        verb;
};

// The verbs' subcommands of `app`. Fills in `options`, and `is_given`, when one of them is parsed;
// both outlive the parsing.
void describe_remote(CLI::App& app, RemoteOptions& options, bool& is_given);

}  // namespace shoal::cli
