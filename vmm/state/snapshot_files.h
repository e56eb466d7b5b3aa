// A snapshot on disk: a state file (microvm_file.h) and a memory file.
//
// The memory file is the guest's memory byte for byte, without the hole below 4 GiB; pages of zeros
// are holes. Behind it stand 24 bytes that name the snapshot: "SHOALMEM" and its id, so that a
// memory file is never loaded with the state of another snapshot.
//
// Two files cannot be renamed at once. While they are, the memory file of before has a second name,
// `<path>.old`; whoever loads the state of before finds it there. So after a crash at any moment
// the two paths load as the old snapshot or as the new one.
#pragma once

#include <string>

#include "devices/machine/guest_memory.h"
#include "vmm/state/microvm_file.h"
#include "vmm/state/new_file.h"

namespace shoal::state {

struct SnapshotPaths {
    std::string state;
    std::string memory;
};

// Both durably, or neither. The guest stands still meanwhile. Gives the snapshot its id. Throws
// with one sentence.
void write_snapshot(const SnapshotPaths& paths, const vmm::SavedMicrovm& saved,
                    const machine::GuestMemory& memory);

// The same in two steps: what is prepared while the guest stands still, and what may be done later
// by another process that has a copy of the memory.
class SnapshotFiles {
public:
    // Opens both files. Throws with one sentence.
    SnapshotFiles(const SnapshotPaths& paths, const vmm::SavedMicrovm& saved);
    // Both durably, or neither. Throws with one sentence.
    void write(const machine::GuestMemory& memory);
    // Somebody else writes them: their temporary names stay.
    void leave() noexcept;

private:
    SnapshotPaths paths_;
    Snapshot snapshot_;
    NewFile memory_file_;
    NewFile state_file_;
};

// Throws StateError for what is no state file or a damaged one, each with the path.
[[nodiscard]] Snapshot read_state(const std::string& path);
// A private copy of the memory that belongs to `snapshot`. Throws with one sentence.
[[nodiscard]] machine::GuestMemory open_memory(const std::string& path, const Snapshot& snapshot);

}  // namespace shoal::state
