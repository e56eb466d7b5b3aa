// HostProvisions: templates, volumes, networks and vsock sockets of a real host.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/content/bundle_check.h"
#include "controlplane/content/bundle_folder.h"
#include "controlplane/network/host_networks.h"
#include "controlplane/node/checkpoint/checkpoint_keeper.h"
#include "controlplane/node/checkpoint/volume_takeover.h"
#include "controlplane/node/group_volumes.h"
#include "controlplane/node/provisions.h"
#include "controlplane/node/volume_changes.h"
#include "controlplane/volume/volume_folders.h"

namespace shoal::node {

struct ProvisionSettings {
    std::string host;
    std::uint64_t reserved_mib = 0;  // of the host's memory
    std::string run_folder;          // which has the attempts' folders
    std::string vmm;                 // path of `shoal-vmm`
    std::string fence{};             // the file of VMMs' deadline; empty: none
};

// Files that microVMs of this host use.
struct Bundles {
    const content::BundleFolder& folder;
    content::BundleCheck& check;
    // Has one that is not here come from another host; how that goes, in a sentence. `name` is what
    // its copies are called.
    std::function<std::string(const std::string& name, const std::string& digest)> fetch;
};

class HostProvisions final : public Provisions {
public:
    // Borrows all.
    HostProvisions(const Mirror& mirror, const Runner& runner, Bundles templates, Bundles images,
                   const volumes::VolumeFolders& volumes, VolumeChanges& volume_changes,
                   GroupVolumes& group_volumes, network::HostNetworks& networks,
                   ProvisionSettings settings)
        : mirror_{mirror},
          runner_{runner},
          templates_{std::move(templates)},
          images_{std::move(images)},
          volumes_{volumes},
          volume_changes_{volume_changes},
          group_volumes_{group_volumes},
          networks_{networks},
          settings_{std::move(settings)} {}

    // Borrowed. Without it nothing is restored.
    void set_checkpoints(CheckpointKeeper& keeper, VolumeTakeover& takeover,
                         const checkpoints::CheckpointFolder& checkpoint_folder) {
        keeper_ = &keeper;
        takeover_ = &takeover;
        checkpoint_folder_ = &checkpoint_folder;
    }

    void prepare(const MicroVm& microvm, Launch& launch) override;
    [[nodiscard]] std::string root_of(const MicroVm& microvm) override;
    [[nodiscard]] std::string tap_of(const MicroVm& microvm) override;
    [[nodiscard]] std::vector<std::string> disks_of(const MicroVm& microvm) override;
    void describe(const MicroVm& microvm, const Attempt& attempt,
                  model::MicroVmStatus& status) const override;

private:
    void expect_memory();
    struct Attached {
        std::string tap;
        network::Ipv4 ip = 0;
        network::Subnet subnet;

        [[nodiscard]] std::string mac() const;
        [[nodiscard]] std::string run_words() const;   // of `shoal run --network`
        [[nodiscard]] std::string boot_words() const;  // of a kernel's command line
    };
    // Nothing: it has no network.
    [[nodiscard]] std::optional<Attached> attach_network(const MicroVm& microvm) const;
    void become_restored(const MicroVm& microvm, Launch& launch);
    // `paths`: what it opens besides what all do.
    void become_vmm(Launch& launch, const std::vector<std::string>& paths) const;
    // The file of an image, here and whole. Throws NotYet.
    [[nodiscard]] std::string image_file(const std::string& name);
    void attach_image(const MicroVm& microvm, Launch& launch);
    void attach_kernel(const MicroVm& microvm, Launch& launch);
    void attach_volumes(const MicroVm& microvm, Launch& launch);
    void expect_unused(const MicroVm& microvm, const std::string& volume) const;
    void adopt(const MicroVm& microvm, const Object<model::Volume>& volume);
    [[nodiscard]] std::string file_of(const model::Volume& volume) const;
    void become_clone(const MicroVm& microvm, Launch& launch) const;
    [[nodiscard]] std::string vsock_of(const MicroVm& microvm, const Attempt& attempt) const;

    const Mirror& mirror_;
    const Runner& runner_;
    Bundles templates_;
    Bundles images_;
    const volumes::VolumeFolders& volumes_;
    VolumeChanges& volume_changes_;
    GroupVolumes& group_volumes_;
    network::HostNetworks& networks_;
    ProvisionSettings settings_;
    CheckpointKeeper* keeper_ = nullptr;
    VolumeTakeover* takeover_ = nullptr;
    const checkpoints::CheckpointFolder* checkpoint_folder_ = nullptr;
    std::chrono::steady_clock::time_point looked_at_memory_{};
    std::string shortage_;  // what was seen then
};

// Those of the store, as a host has them.
[[nodiscard]] std::vector<network::HostNetworks::Wanted> wanted_networks(const Mirror& mirror);

}  // namespace shoal::node
