// CheckpointFolder: checkpoints on one host's disk, a folder for each, with the files `state` and
// `memory` of a snapshot that can be loaded, and `drive-0`, `drive-1`, ... of its volumes; beside
// each its checksums (page_sums.h), of what was received.
//
// They come and go between hosts as packs: one file with all, where holes take no room (GNU tar,
// --sparse). Memory and drives of a pack may be differences to those of the checkpoint before it:
// they are merged by `shoal-vmm --rebase`.
//
// A folder appears whole, by a rename, or not at all. Functions that wait for the disk may run on
// any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/checkpoint/checkpoint_id.h"
#include "controlplane/checkpoint/page_sums.h"

namespace shoal::checkpoints {

class CheckpointFolder {
public:
    static constexpr std::size_t max_drives = 8;  // as many volumes as a microVM may have
    // So much of the disk is left free.
    static constexpr std::uint64_t reserved_bytes = std::uint64_t{1} << 30;

    // Created if it is not there; what was unfinished is deleted. `vmm`: path of `shoal-vmm`.
    CheckpointFolder(std::string path, std::string vmm);

    // What is complete.
    [[nodiscard]] std::vector<CheckpointId> list() const;
    [[nodiscard]] bool has(const CheckpointId& id) const;
    [[nodiscard]] std::string state_of(const CheckpointId& id) const;
    [[nodiscard]] std::string memory_of(const CheckpointId& id) const;
    // The content of a drive, and behind it its mark (vmm/state/memory_mark.h).
    [[nodiscard]] std::string drive_of(const CheckpointId& id, std::size_t drive) const;

    // A folder of its caller's, which deletes it; on this disk. Throws std::system_error.
    [[nodiscard]] std::string make_partial() const;
    static std::string state_in(const std::string& folder) { return folder + "/state"; }
    static std::string memory_in(const std::string& folder) { return folder + "/memory"; }
    static std::string drive_in(const std::string& folder, std::size_t drive) {
        return folder + "/drive-" + std::to_string(drive);
    }
    static std::string pack_in(const std::string& folder) { return folder + "/pack"; }

    // Throws std::runtime_error, with the number, when the disk has no room for so much more.
    void expect_room(std::uint64_t bytes) const;
    // Makes a pack of the files in `folder`. Its size in bytes. Waits for the disk; throws
    // std::runtime_error.
    static std::uint64_t pack(const std::string& folder, const std::string& pack);
    // The same of a checkpoint that is here, with its checksums.
    void pack_again(const CheckpointId& id, const std::string& pack) const;
    // Makes the pack in `partial` a checkpoint and deletes `partial`, also when it throws
    // std::runtime_error. It is durable then. `base`: the pack has what differs from that one.
    // `drives`: so many it has. Waits for the disk.
    void install(const std::string& partial, const CheckpointId& id,
                 const std::optional<CheckpointId>& base, std::size_t drives) const;
    // The same of a pack by pack_again() of another host, for whoever starts from it at once: not
    // durable. Throws Damage when it is not as that host received it.
    void adopt(const std::string& partial, const CheckpointId& id, std::size_t drives) const;
    // Reads all of it. Throws Damage when it is not as it was received.
    void expect_sound(const CheckpointId& id) const;
    void remove(const CheckpointId& id) const;

private:
    [[nodiscard]] std::string path_of(const CheckpointId& id) const;
    static void expect_sound_in(const std::string& folder);
    static void unpack(const std::string& partial, const std::vector<std::string>& names);
    // Of a file of the base and a difference to it, which it replaces. The sums of what it has
    // merged.
    [[nodiscard]] PageSums merge(const std::string& base, const std::string& difference) const;
    void publish(const std::string& partial, const CheckpointId& id) const;

    std::string path_;
    std::string vmm_;
};

}  // namespace shoal::checkpoints
