// A group: so many microVMs of one kind, kept at that number.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/model/microvm.h"

namespace shoal::model {

enum class Spreading { bin_pack, spread };
// No two of the group on one host, or in one zone.
enum class AntiAffinity { none, host, zone };

// What happens when a host falls silent, before it is known to be lost: members that hold no state
// may be replaced by others at once; for a short time there are too many, should the host come
// back.
enum class OnSuspicion { wait, replace };

// Each member has a volume of its own: MEMBER-NAME, made by the host where the member is first
// started. It stays when the member goes, for the next one of its name, and is deleted with the
// group.
struct VolumeClaim {
    std::string name;
    std::uint64_t size_mib = 0;
    std::string storage{};  // where they are made; empty: the member's host
};

struct Group {
    std::string name;
    std::uint64_t count = 0;
    MicroVmSpec microvm;  // its name is empty: members are NAME-0, NAME-1, ...
    Spreading spreading = Spreading::bin_pack;
    AntiAffinity anti_affinity = AntiAffinity::none;
    Labels host_labels;  // which a host must have
    OnSuspicion on_suspicion = OnSuspicion::wait;
    std::vector<VolumeClaim> volumes{};  // in the order of the members' disks
};

[[nodiscard]] inline std::string volume_of(const std::string& member, const VolumeClaim& claim) {
    return member + "-" + claim.name;
}

[[nodiscard]] inline std::vector<std::string> volumes_of(const Group& group,
                                                         const std::string& member) {
    std::vector<std::string> names;
    for (const VolumeClaim& claim : group.volumes) {
        names.push_back(volume_of(member, claim));
    }
    return names;
}

// The member of this name, as the group says.
[[nodiscard]] inline MicroVmSpec member_of(const Group& group, const std::string& name) {
    MicroVmSpec spec = group.microvm;
    spec.name = name;
    spec.group = group.name;
    spec.volumes = volumes_of(group, name);
    return spec;
}

}  // namespace shoal::model
