// CheckpointOutlet: the way from a snapshot's files to other hosts' disks. A parameter of the
// checkpointer, so that its tests need neither disks nor hosts.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/checkpoint/checkpoint_id.h"

namespace shoal::node {

struct Shipment {
    std::string folder;  // with the files `state` and `memory`, and those of drives
    std::size_t drives = 0;
    checkpoints::CheckpointId id;
    // Memory and drives are differences to those of that one, which all hosts have.
    std::optional<checkpoints::CheckpointId> base;
    std::vector<std::string> hosts;
};

struct Shipped {
    std::string failure;  // one sentence; empty: all hosts have it, durably
    std::uint64_t sent_bytes = 0;
};

// On the loop's thread.
class CheckpointOutlet {
public:
    using Done = std::move_only_function<void(Shipped)>;

    virtual ~CheckpointOutlet() = default;
    // A folder in `place`, which may be missing, for a snapshot's files, of at most so many bytes.
    // Throws std::runtime_error.
    [[nodiscard]] virtual std::string make_folder(const std::string& place,
                                                  std::uint64_t bytes) = 0;
    virtual void delete_folder(const std::string& folder) = 0;
    // Calls `done` later, once; not when this has been destroyed meanwhile. The folder stays.
    virtual void ship(Shipment shipment, Done done) = 0;
};

}  // namespace shoal::node
