// SnapshotWriter: writes a snapshot behind a guest that runs again.
//
// A child process does it, whose memory stays what it was at the fork: the guest's writes, and
// those of its devices, go to copies of pages. It ends with this process.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "devices/host/mapping.h"
#include "devices/host/unique_fd.h"
#include "devices/machine/guest_memory.h"
#include "vmm/machine/thread.h"
#include "vmm/state/snapshot_files.h"

namespace shoal::state {

enum class WriterState { writing, done, failed };

// All functions are called on one thread.
class SnapshotWriter {
public:
    // While the guest stands still, on a thread that lives as long as the process. Afterwards the
    // memory is a private copy, and the guest may run. Borrows the memory: once the child has
    // ended, what the memfd has of replaced pages is given back. Throws with one sentence.
    SnapshotWriter(const SnapshotPaths& paths, const vmm::SavedMicrovm& saved,
                   machine::GuestMemory& memory, std::optional<Difference> difference = {},
                   DriveCopies drives = {});
    // A snapshot that is not done by then is not made.
    ~SnapshotWriter();
    SnapshotWriter(const SnapshotWriter&) = delete;
    SnapshotWriter& operator=(const SnapshotWriter&) = delete;

    [[nodiscard]] const SnapshotId& id() const noexcept { return id_; }
    // Looks, and does not wait, but for a child that has ended.
    [[nodiscard]] WriterState state();
    // Why it failed.
    [[nodiscard]] const std::string& sentence() const noexcept { return sentence_; }

private:
    void read_sentence();
    void free_replaced();
    [[noreturn]] void write_in_child(const machine::GuestMemory& memory, pid_t parent,
                                     int report_fd);

    std::optional<SnapshotFiles> files_;  // gone once they are the child's, or are not to be
    SnapshotId id_;
    host::UniqueFd report_;
    pid_t child_ = -1;
    WriterState state_ = WriterState::writing;
    std::string sentence_;
    const machine::GuestMemory& memory_;
    // End the mapping that the guest had before, and free what nobody reads any more.
    std::optional<vmm::Thread> unmapping_;
    std::optional<vmm::Thread> freeing_;
};

}  // namespace shoal::state
