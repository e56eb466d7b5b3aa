// gmtime_r(3), timegm(3).
#include "controlplane/node/rfc3339.h"

#include <time.h>

#include <array>
#include <cstdio>

namespace shoal::node {

std::string to_rfc3339(std::int64_t ms) {
    const time_t seconds = ms / 1000;
    tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 64> text{};
    const int size =
        std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                      parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                      parts.tm_min, parts.tm_sec, static_cast<int>(ms % 1000));
    return {text.data(), static_cast<std::size_t>(size)};
}

// What is written back in the same way was understood.
std::optional<std::int64_t> from_rfc3339(const std::string& text) {
    tm parts{};
    int ms = 0;
    if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &parts.tm_year, &parts.tm_mon,
                    &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &ms) != 7) {
        return std::nullopt;
    }
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    const std::int64_t found = std::int64_t{::timegm(&parts)} * 1000 + ms;
    return to_rfc3339(found) == text ? std::optional{found} : std::nullopt;
}

}  // namespace shoal::node
