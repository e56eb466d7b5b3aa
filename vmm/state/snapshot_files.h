// A snapshot on disk: a state file (microvm_file.h) and a memory file.
//
// The memory file is the guest's memory byte for byte, without the hole below 4 GiB; pages of zeros
// are holes. Behind it stands whose memory it is (memory_mark.h), so that a memory file is never
// loaded with the state of another snapshot. It may be compressed (packed_memory.h).
//
// A difference has only the pages that are not as they were in another snapshot, its base, zeros
// among them; the rest is a hole. Written over the base's memory file, it is merged into it.
//
// Two files cannot be renamed at once. While they are, the memory file of before has a second name,
// `<path>.old`; whoever loads the state of before finds it there. So after a crash at any moment
// the two paths load as the old snapshot or as the new one.
#pragma once

#include <optional>
#include <string>

#include "devices/machine/guest_memory.h"
#include "vmm/machine/microvm.h"
#include "vmm/state/compression.h"
#include "vmm/state/drive_copy.h"
#include "vmm/state/memory_mark.h"
#include "vmm/state/microvm_file.h"
#include "vmm/state/new_file.h"

namespace shoal::state {

struct SnapshotPaths {
    std::string state;
    std::string memory;
    Compression compression = Compression::none;  // of the memory file; not of a difference
};

// Writing one, in two steps: what is prepared while the guest stands still, and what may be done
// later by another process that has a copy of the memory.
class SnapshotFiles {
public:
    // Opens both files, and gives the snapshot its id; finishes the copies of drives. Without a
    // difference the memory is written whole. Throws with one sentence.
    SnapshotFiles(const SnapshotPaths& paths, const vmm::SavedMicrovm& saved,
                  std::optional<Difference> difference = {}, DriveCopies drives = {});
    // Both durably, or neither, and the drives before them. Throws with one sentence.
    void write(const machine::GuestMemory& memory);
    // Somebody else writes them: their temporary names stay.
    void leave() noexcept;
    [[nodiscard]] const SnapshotId& id() const noexcept { return snapshot_.id; }

private:
    void write_difference(const machine::GuestMemory& memory);

    SnapshotPaths paths_;
    Snapshot snapshot_;
    std::optional<Difference> difference_;
    DriveCopies drives_;
    NewFile memory_file_;
    NewFile state_file_;
};

// Merges the memory file of a difference into that of its base, which is then the memory of the
// difference's snapshot. Durably, or not at all. Throws with one sentence.
void rebase_memory(const std::string& base_path, const std::string& difference_path);

// Throws StateError for what is no state file or a damaged one, each with the path.
[[nodiscard]] Snapshot read_state(const std::string& path);
// The memory that belongs to `snapshot`: a file, or a compressed one's pages, with its working set,
// which is beside it unless it has a path of its own. Throws with one sentence.
[[nodiscard]] vmm::MemorySource open_memory(const std::string& path, const Snapshot& snapshot,
                                            const std::string& working_set_path = {});

}  // namespace shoal::state
