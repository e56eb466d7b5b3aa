// Programs that unpack what strangers made: with an eye on the clock and on the disk.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

namespace shoal::images {

// Of what is on the disk at the same time while one image is made.
struct Limits {
    std::uint64_t bytes = std::uint64_t{16} << 30;  // large images have 10 GB
    std::uint64_t files = 1'000'000;
    std::chrono::seconds time{30 * 60};  // of each program
};

struct Guard {
    std::string folder;  // in which it all happens
    Limits limits;
    std::stop_token stop;  // shoald ends
};

// Throws std::runtime_error, with a sentence, where more is there than the limits allow.
void expect_small(const Guard& guard);

// Runs a program to its end; `words` begin with its path. What takes too long or too much is
// killed. Waits: not for the loop's thread. Throws std::runtime_error with the program's last
// words, or a sentence of ours.
void run_guarded(const std::vector<std::string>& words, const Guard& guard);

// The message in the last line of what a program said: of skopeo what it has as msg="...", of umoci
// what is behind its sign.
[[nodiscard]] std::string message_in(const std::string& output);

}  // namespace shoal::images
