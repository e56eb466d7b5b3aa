// What a clone's VMM is asked: load the template, go on, and tell the program who it is.
#pragma once

#include <string>
#include <vector>

namespace shoal::node {

// The guest reads at most so much of /dev/clone.
inline constexpr std::size_t max_clone_words_bytes = 32768;

struct CloneOrder {
    std::string state;  // the template's files
    std::string memory;
    std::string id;
    std::vector<std::string> arguments;
    std::string vsock;  // the path of its own vsock device; empty: it has none
};

// An HTTP request, whole.
[[nodiscard]] std::string to_request(const CloneOrder& order);

}  // namespace shoal::node
