// A live migration that is wanted: its record is there for as long as it goes on. Until it is over
// both hosts may have the microVM, though only one runs it; who is placed where changes in the
// transaction that deletes the record.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/model/host.h"

namespace shoal::model {

struct Move {
    std::string from;
    Epoch from_epoch = 0;
    std::string to;
    Epoch to_epoch = 0;
    std::string address;  // where the destination waits; empty: it does not yet
    // Why it came to nothing: the destination never ran it, and never will.
    std::string failure;
    // The destination died: nobody knows whether the guest had come there.
    bool is_lost = false;
};

// How far a draining host is, as the leader sees it.
struct Drain {
    std::uint64_t moving = 0;
    std::uint64_t waiting = 0;
    // "NAME: why it cannot leave"; the first few.
    std::vector<std::string> stays;

    bool operator==(const Drain&) const = default;
};

}  // namespace shoal::model
