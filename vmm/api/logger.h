// /logger
#pragma once

#include <array>

#include "devices/host/log.h"
#include "vmm/api/action.h"

namespace shoal::api {

template <>
struct Names<host::LogLevel> {
    using Pair = std::pair<std::string_view, host::LogLevel>;
    static constexpr LetterCase letter_case = LetterCase::does_not_matter;
    static constexpr std::array values{
        Pair{"Error", host::LogLevel::error}, Pair{"Warning", host::LogLevel::warn},
        Pair{"Info", host::LogLevel::info},   Pair{"Debug", host::LogLevel::debug},
        Pair{"Trace", host::LogLevel::trace}, Pair{"Off", host::LogLevel::off},
        Pair{"Warn", host::LogLevel::warn},
    };
};

// What is absent stays as it is.
struct LoggerConfig {
    std::optional<std::string> log_path;
    std::optional<host::LogLevel> level;
    std::optional<bool> show_level;
    std::optional<bool> show_log_origin;
    std::optional<std::string> module;
};

template <>
struct Description<LoggerConfig> {
    using Body = LoggerConfig;
    static constexpr std::string_view name = "Logger";
    static constexpr std::tuple fields{
        optional("log_path", &Body::log_path),
        optional("level", &Body::level),
        optional("show_level", &Body::show_level),
        optional("show_log_origin", &Body::show_log_origin),
        optional("module", &Body::module),
    };
};

[[nodiscard]] ParsedRequest parse_put_logger(const Call& call);

// Throws Fault.
void set_logger(const LoggerConfig& logger);

// "warning" and the like, for the command line; absent when it is no level.
[[nodiscard]] std::optional<host::LogLevel> parse_log_level(std::string_view text);

}  // namespace shoal::api
