// Where the log goes and what is in it.
#include "vmm/api/logger.h"

namespace shoal::api {

void set_logger(const LoggerConfig& logger) {
    with_prefix("Logger error: Failed to open target file: ", [&] {
        host::configure_log({.path = logger.log_path,
                             .level = logger.level,
                             .show_level = logger.show_level,
                             .show_origin = logger.show_log_origin,
                             .module = logger.module});
    });
}

ParsedRequest parse_put_logger(const Call& call) {
    const auto logger = parse_body<LoggerConfig>(call);
    return {[logger](Context&) {
        set_logger(logger);
        return no_content();
    }};
}

std::optional<host::LogLevel> parse_log_level(std::string_view text) {
    try {
        host::LogLevel level{};
        Decoder{text}.read(JsonNode{std::string{text}, text.size()}, level);
        return level;
    } catch (const JsonError&) {
        return std::nullopt;
    }
}

}  // namespace shoal::api
