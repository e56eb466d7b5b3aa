// CheckpointFolder: checkpoints on one host's disk, a folder for each, with the files `state` and
// `memory` of a snapshot that can be loaded, and beside each its checksums (page_sums.h), of what
// was received.
//
// They come and go between hosts as packs: one file with both, where the memory's holes take no
// room (GNU tar, --sparse). The memory of a pack may be a difference to that of the checkpoint
// before it: it is merged by `shoal-vmm --rebase`.
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
    // So much of the disk is left free.
    static constexpr std::uint64_t reserved_bytes = std::uint64_t{1} << 30;

    // Created if it is not there; what was unfinished is deleted. `vmm`: path of `shoal-vmm`.
    CheckpointFolder(std::string path, std::string vmm);

    // What is complete.
    [[nodiscard]] std::vector<CheckpointId> list() const;
    [[nodiscard]] bool has(const CheckpointId& id) const;
    [[nodiscard]] std::string state_of(const CheckpointId& id) const;
    [[nodiscard]] std::string memory_of(const CheckpointId& id) const;

    // A folder of its caller's, which deletes it; on this disk. Throws std::system_error.
    [[nodiscard]] std::string make_partial() const;
    static std::string state_in(const std::string& folder) { return folder + "/state"; }
    static std::string memory_in(const std::string& folder) { return folder + "/memory"; }
    static std::string pack_in(const std::string& folder) { return folder + "/pack"; }

    // Throws std::runtime_error, with the number, when the disk has no room for so much more.
    void expect_room(std::uint64_t bytes) const;
    // Makes a pack of the two files in `folder`. Its size in bytes. Waits for the disk; throws
    // std::runtime_error.
    static std::uint64_t pack(const std::string& folder, const std::string& pack);
    // The same of a checkpoint that is here, with its checksums.
    void pack_again(const CheckpointId& id, const std::string& pack) const;
    // Makes the pack in `partial` a checkpoint and deletes `partial`, also when it throws
    // std::runtime_error. It is durable then. `base`: the pack has what differs from that one.
    // Waits for the disk.
    void install(const std::string& partial, const CheckpointId& id,
                 const std::optional<CheckpointId>& base) const;
    // The same of a pack by pack_again() of another host, for whoever starts from it at once: not
    // durable. Throws Damage when it is not as that host received it.
    void adopt(const std::string& partial, const CheckpointId& id) const;
    // Reads all of it. Throws Damage when it is not as it was received.
    void expect_sound(const CheckpointId& id) const;
    void remove(const CheckpointId& id) const;

private:
    [[nodiscard]] std::string path_of(const CheckpointId& id) const;
    static void expect_sound_in(const std::string& folder);
    static void unpack(const std::string& partial, const std::vector<std::string>& names);
    // The sums of what it has merged.
    [[nodiscard]] PageSums merge(const std::string& partial, const CheckpointId& base) const;
    void publish(const std::string& partial, const CheckpointId& id) const;

    std::string path_;
    std::string vmm_;
};

}  // namespace shoal::checkpoints
