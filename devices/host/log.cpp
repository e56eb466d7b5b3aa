// spdlog, header-only (Debian has no static library), behind a sink that never blocks.
#include "devices/host/log.h"

#define SPDLOG_HEADER_ONLY
#define FMT_HEADER_ONLY
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <memory>
#include <mutex>

#include "devices/host/nonblocking_file.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::host {
namespace {

std::atomic<std::uint64_t> missed_lines{0};
std::atomic<std::uint64_t> rate_limited_lines{0};

spdlog::level::level_enum to_spdlog(LogLevel level) {
    constexpr std::array levels{spdlog::level::off,  spdlog::level::err,   spdlog::level::warn,
                                spdlog::level::info, spdlog::level::debug, spdlog::level::trace};
    return levels[static_cast<std::size_t>(level)];
}

class NonBlockingSink final : public spdlog::sinks::base_sink<std::mutex> {
public:
    void set_target(UniqueFd target) {
        const std::scoped_lock lock{mutex_};
        target_ = std::move(target);
    }

protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        const int fd = target_ ? target_.get() : STDOUT_FILENO;
        if (!try_write_line(fd, {line.data(), line.size()})) {
            missed_lines.fetch_add(1, std::memory_order_relaxed);
        }
    }
    void flush_() override {}

private:
    UniqueFd target_;
};

// %*: the name of the thread that logs.
class ThreadNameFlag final : public spdlog::custom_flag_formatter {
public:
    void format(const spdlog::details::log_msg&, const tm&, spdlog::memory_buf_t& line) override {
        std::array<char, 16> name{};
        pthread_getname_np(pthread_self(), name.data(), name.size());
        const std::string_view text{name.data()};
        line.append(text.data(), text.data() + text.size());
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<ThreadNameFlag>();
    }
};

// %*: the level, in Firecracker's words.
class LevelFlag final : public spdlog::custom_flag_formatter {
public:
    void format(const spdlog::details::log_msg& message, const tm&,
                spdlog::memory_buf_t& line) override {
        constexpr std::array<std::string_view, 7> names{"TRACE", "DEBUG", "INFO", "WARN",
                                                        "ERROR", "ERROR", "OFF"};
        const std::string_view text = names[static_cast<std::size_t>(message.level)];
        line.append(text.data(), text.data() + text.size());
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<LevelFlag>();
    }
};

struct Settings {
    std::string instance_id = "anonymous-instance";
    LogLevel level = LogLevel::info;
    bool show_level = false;
    bool show_origin = false;
    std::string module;
};

// A literal in a pattern.
std::string escaped(const std::string& text) {
    std::string result;
    for (const char byte : text) {
        result += byte == '%' ? "%%" : std::string(1, byte);
    }
    return result;
}

std::unique_ptr<spdlog::formatter> make_formatter(const Settings& settings) {
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<ThreadNameFlag>('*').add_flag<LevelFlag>('~');
    formatter->set_pattern("%Y-%m-%dT%H:%M:%S.%F [" + escaped(settings.instance_id) + ":%*" +
                           (settings.show_level ? ":%~" : "") +
                           (settings.show_origin ? ":%g:%#" : "") + "] %v");
    return formatter;
}

class Log {
public:
    void configure(const LogUpdate& update) {
        ::tzset();  // reads a file now: the thread that logs first may not be allowed to
        UniqueFd target = update.path ? open_nonblocking(*update.path) : UniqueFd{};
        const std::scoped_lock lock{mutex_};
        settings_.instance_id = update.instance_id.value_or(settings_.instance_id);
        settings_.level = update.level.value_or(settings_.level);
        settings_.show_level = update.show_level.value_or(settings_.show_level);
        settings_.show_origin = update.show_origin.value_or(settings_.show_origin);
        settings_.module = update.module.value_or(settings_.module);
        sink_.set_formatter(make_formatter(settings_));
        if (update.path) {
            sink_.set_target(std::move(target));
        }
        detail::log_level.store(settings_.level, std::memory_order_relaxed);
    }

    void write(LogLevel level, std::string_view message, const spdlog::source_loc& place) {
        const std::scoped_lock lock{mutex_};
        if (!std::string_view{place.filename}.starts_with(settings_.module)) {
            return;
        }
        sink_.log({place, "", to_spdlog(level), {message.data(), message.size()}});
    }

private:
    std::mutex mutex_;
    Settings settings_;
    NonBlockingSink sink_;
};

// Never destroyed: threads may log until the process is gone.
Log& the_log() {
    static Log& log = *new Log;
    return log;
}

bool is_control(char byte) {
    return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F;
}

}  // namespace

void configure_log(const LogUpdate& update) {
    the_log().configure(update);
}

LogCounters log_counters() noexcept {
    return {missed_lines.load(std::memory_order_relaxed),
            rate_limited_lines.load(std::memory_order_relaxed)};
}

void log(LogLevel level, std::string_view message, const char* file, unsigned line) noexcept {
    if (!log_enabled(level)) {
        return;
    }
    try {
        std::string text{message.substr(0, max_line_bytes - 512)};
        std::ranges::replace_if(text, is_control, ' ');
        the_log().write(level, text, {file, static_cast<int>(line), ""});
    } catch (const std::exception&) {
        missed_lines.fetch_add(1, std::memory_order_relaxed);  // no memory for the line
    }
}

bool LogSite::admits_at(std::uint64_t now_ns) noexcept {
    std::uint64_t start = window_start_ns_.load(std::memory_order_relaxed);
    if (start == 0 || now_ns - start >= window_ns) {
        // One thread opens the window; the others count in it.
        if (window_start_ns_.compare_exchange_strong(start, now_ns, std::memory_order_relaxed)) {
            lines_.store(0, std::memory_order_relaxed);
        }
    }
    if (lines_.fetch_add(1, std::memory_order_relaxed) < max_lines) {
        return true;
    }
    lines_.store(max_lines, std::memory_order_relaxed);  // so that it never wraps
    held_back_.fetch_add(1, std::memory_order_relaxed);
    rate_limited_lines.fetch_add(1, std::memory_order_relaxed);
    return false;
}

std::uint32_t LogSite::take_held_back() noexcept {
    return held_back_.exchange(0, std::memory_order_relaxed);
}

bool LogSite::admits(LogLevel level, const char* file, unsigned line) noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (!admits_at(static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
                   static_cast<std::uint64_t>(now.tv_nsec))) {
        return false;
    }
    if (const std::uint32_t count = take_held_back(); count > 0) {
        log(level, std::to_string(count) + " messages were suppressed due to rate limiting", file,
            line);
    }
    return true;
}

}  // namespace shoal::host
