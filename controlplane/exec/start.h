// Start: what a command in a guest is started with, as the payload of a frame: two 16-bit numbers,
// little-endian, of arguments and of assignments; then the folder, those arguments and those
// assignments, each with a NUL behind it, and nothing else.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/exec/frame.h"

namespace shoal::exec {

inline constexpr std::size_t max_words = 1024;  // of each kind

struct Start {
    std::string folder;                    // empty: the agent's
    std::vector<std::string> arguments;    // the program first
    std::vector<std::string> environment;  // KEY=VALUE, beside or instead of the agent's
    bool operator==(const Start&) const = default;
};

// Both throw FrameError where it cannot be one.
[[nodiscard]] std::string to_payload(const Start& start);
[[nodiscard]] Start start_in(std::string_view payload);

}  // namespace shoal::exec
