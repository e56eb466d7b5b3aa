// The log: lines of what happens, in Firecracker's form, to stdout, a file or a named pipe.
//
//     2026-06-16T07:45:41.767987318 [<id>:<thread>[:LEVEL][:file:line]] message
//
// One log per process. It is off until configure_log() is called. Any thread may log: a line that
// the target does not take at once is dropped and counted, so that nobody ever waits for a reader.
// spdlog formats; only log.cpp includes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal::host {

enum class LogLevel : std::uint8_t { off, error, warn, info, debug, trace };

// What is absent stays as it is.
struct LogUpdate {
    std::optional<std::string> instance_id{};
    std::optional<std::string> path{};  // a file is appended to, and created when it is missing
    std::optional<LogLevel> level{};
    std::optional<bool> show_level{};
    std::optional<bool> show_origin{};
    std::optional<std::string> module{};  // only lines from source paths that start so
};

// Turns the log on (level info, stdout) or changes it. Throws std::system_error when the path
// cannot be opened, and changes nothing then.
void configure_log(const LogUpdate& update);

// Of the whole process, ever growing.
struct LogCounters {
    std::uint64_t missed = 0;        // the target did not take the line
    std::uint64_t rate_limited = 0;  // a LogSite did not let the line pass
};
[[nodiscard]] LogCounters log_counters() noexcept;

namespace detail {
inline constinit std::atomic<LogLevel> log_level{LogLevel::off};
}  // namespace detail

[[nodiscard]] inline bool log_enabled(LogLevel level) noexcept {
    return level <= detail::log_level.load(std::memory_order_relaxed);
}

// Writes one line; control characters in `message` are replaced. The place is the caller's.
// (Not std::source_location, which clang 14 cannot take from libstdc++.)
void log(LogLevel level, std::string_view message, const char* file = __builtin_FILE(),
         unsigned line = __builtin_LINE()) noexcept;

// A place in the code that a guest can make log: ten lines in five seconds, as in Firecracker. The
// first line after some were held back says how many.
class LogSite {
public:
    static constexpr std::uint32_t max_lines = 10;
    static constexpr std::uint64_t window_ns = 5'000'000'000;

    [[nodiscard]] bool admits(LogLevel level, const char* file, unsigned line) noexcept;
    [[nodiscard]] bool admits_at(std::uint64_t now_ns) noexcept;
    // How many lines were held back since this was last asked.
    [[nodiscard]] std::uint32_t take_held_back() noexcept;

private:
    std::atomic<std::uint64_t> window_start_ns_{0};
    std::atomic<std::uint32_t> lines_{0};
    std::atomic<std::uint32_t> held_back_{0};
};

}  // namespace shoal::host

// For everything that a guest can trigger. `message` is evaluated only if it is going to be logged.
#define SHOAL_GUEST_LOG(level, message)                                     \
    do {                                                                    \
        if (::shoal::host::log_enabled(level)) {                            \
            static constinit ::shoal::host::LogSite site;                   \
            if (site.admits((level), __FILE__, __LINE__)) {                 \
                ::shoal::host::log((level), (message), __FILE__, __LINE__); \
            }                                                               \
        }                                                                   \
    } while (false)
