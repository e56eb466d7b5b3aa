// Child processes that other programs are: tar, shoal-vmm, shoal.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "devices/host/unique_fd.h"

namespace shoal::node {

// `words`: the command, its path first. Its standard output and error are `output`, its input is
// empty; it dies with the calling thread. To be waited for. Throws std::system_error.
[[nodiscard]] pid_t start_child(const std::vector<std::string>& words, int output);

// A pidfd of a child that is still to be waited for: readable once waiting takes no time. When
// there is none, the child is killed and waited for, and std::system_error thrown.
[[nodiscard]] host::UniqueFd open_child(pid_t child);

// Waits until it ends. Whether it ended well.
[[nodiscard]] bool wait_for_child(pid_t child);

// Of what a program printed: the last line, which says what went wrong.
[[nodiscard]] std::string last_words(std::string output);

// Runs it to its end, on a thread that may wait. Throws std::system_error when it cannot be run,
// and std::runtime_error with its last words when it fails.
void run_child(const std::vector<std::string>& words);

}  // namespace shoal::node
