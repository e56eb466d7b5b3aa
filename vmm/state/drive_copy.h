// DriveCopies: the drives of a snapshot that is written behind its guest.
//
// They are copied while the guest runs, in rounds, each of what was written during the one before,
// and what is left once it stands still. So the files have what the drives had at the moment that
// the memory is of, and the guest stands still for the last little only.
//
// A file is as a memory file is (snapshot_files.h): what is on the drive, or what makes it of what
// was on it at the snapshot before, and behind it the mark of the snapshot.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/virtio/block.h"
#include "vmm/machine/page_set.h"
#include "vmm/state/memory_mark.h"
#include "vmm/state/new_file.h"

namespace shoal::state {

// A drive from the first snapshot on that has it. The content's log goes on.
struct LoggedDrive {
    std::string id;
    virtio::BlockContent content;
    std::optional<SnapshotId> base;  // the snapshot that the log begins at

    // Nobody else has taken the log over, and the file is still the drive's.
    [[nodiscard]] bool is_logging() const noexcept { return content.writes->is_on(); }
};

class DriveCopies {
public:
    static constexpr std::uint64_t max_drive_bytes = std::uint64_t{1} << 40;
    // So much may be left for when the guest stands still: 1 MiB. After so many rounds it may be
    // more, but no more than 64 MiB.
    static constexpr std::uint64_t few_pages = 256;
    static constexpr unsigned max_rounds = 8;
    static constexpr std::uint64_t most_pages = 16384;

    DriveCopies() = default;
    DriveCopies(DriveCopies&&) noexcept = default;
    DriveCopies& operator=(DriveCopies&&) noexcept = default;
    DriveCopies(const DriveCopies&) = delete;
    DriveCopies& operator=(const DriveCopies&) = delete;
    // Without publish() no file is left.
    ~DriveCopies() = default;

    // What was written since drive->base, or all if it has none. Throws with one sentence.
    void add(std::shared_ptr<LoggedDrive> drive, const std::string& path);

    // These throw with one sentence. First, while the guest runs and on any thread, until little is
    // left. Returns early once `is_stopped`.
    void copy_behind(const std::atomic<bool>& is_stopped);
    // Then, while the guest stands still and all that it asked of its drives is done.
    void finish(const SnapshotId& id);
    // Then, by whoever writes the rest.
    void sync();
    void publish();
    // Another process does that.
    void leave() noexcept;

private:
    struct Copy {
        Copy(std::shared_ptr<LoggedDrive> of, const std::string& path);

        void copy_left(const std::atomic<bool>& is_stopped);
        void take_written();

        std::shared_ptr<LoggedDrive> drive;
        std::optional<SnapshotId> base;
        NewFile file;
        vmm::PageSet copied;  // those that the file has
        vmm::PageSet left;
    };

    std::vector<std::unique_ptr<Copy>> copies_;
};

}  // namespace shoal::state
