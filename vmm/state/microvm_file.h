// A microVM's state as the bytes of a state file, and back.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "vmm/machine/machine_state.h"
#include "vmm/state/memory_mark.h"

namespace shoal::state {

struct Snapshot {
    SnapshotId id{};
    vmm::SavedMicrovm microvm;
};

[[nodiscard]] std::vector<std::byte> encode(const Snapshot& snapshot);
// Throws StateError. What the file says is checked for its form and for what goes together; whether
// this host can run it is for others to say.
[[nodiscard]] Snapshot decode(std::span<const std::byte> file);

// A configuration that others sent: what the API would have checked. Throws StateError.
void check(const vmm::MicrovmConfig& config);

}  // namespace shoal::state
