// How far a migration is, for whoever asks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace shoal::migration {

struct Progress {
    std::uint32_t rounds = 0;       // begun, over the guest's memory and the drives that are copied
    std::uint64_t pages = 0;        // that crossed the wire, those that did twice counted twice
    std::uint64_t zero_pages = 0;   // that did not, or only as a number
    std::uint64_t bytes = 0;        // on the wire
    std::uint64_t bytes_per_s = 0;  // measured; 0: not yet
    std::uint64_t remaining_pages = 0;
    std::uint64_t drive_pages = 0;  // of drives that are copied, likewise
    std::uint64_t remaining_drive_pages = 0;
    std::uint32_t throttle_percent = 0;
    std::uint64_t expected_downtime_us = 0;  // if the guest were stopped now; 0: not known yet
    std::uint64_t downtime_us = 0;  // of the source: from the pause to the destination's word
    std::uint64_t total_us = 0;
    std::optional<std::string> failure;  // one sentence
};

}  // namespace shoal::migration
