// A checkpoint: what hosts keep of a running microVM's memory and of its volumes, so that it can go
// on elsewhere when its own host is lost. Its record is written once all copies are on their hosts'
// disks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace shoal::model {

// What a microVM asks for.
struct CheckpointPlan {
    std::uint64_t interval_s = 60;  // from the end of one to the beginning of the next
    std::uint64_t copies = 1;       // on so many other hosts, where there are as many
};

// The last one of a microVM that is complete.
struct Checkpoint {
    // What was saved: the microVM under the placement of this revision, for the so manieth time
    // since it was created.
    std::int64_t placement = 0;
    std::uint64_t generation = 0;
    std::vector<std::string> hosts;  // that have it; none: there is no checkpoint yet
    std::string cpu_model;           // which it can be restored on
    std::string taken_at;            // RFC 3339
    std::uint64_t sent_bytes = 0;    // to each of them
    std::uint64_t pause_us = 0;      // how long the guest stood still for it
    // Why no newer one could be made; empty: none has failed since.
    std::string failure;
};

}  // namespace shoal::model
