// A group: so many microVMs of one kind, kept at that number.
#pragma once

#include <cstdint>
#include <string>

#include "controlplane/model/microvm.h"

namespace shoal::model {

enum class Spreading { bin_pack, spread };
// No two of the group on one host, or in one zone.
enum class AntiAffinity { none, host, zone };

// What happens when a host falls silent, before it is known to be lost: members that hold no state
// may be replaced by others at once; for a short time there are too many, should the host come
// back.
enum class OnSuspicion { wait, replace };

struct Group {
    std::string name;
    std::uint64_t count = 0;
    MicroVmSpec microvm;  // its name is empty: members are NAME-0, NAME-1, ...
    Spreading spreading = Spreading::bin_pack;
    AntiAffinity anti_affinity = AntiAffinity::none;
    Labels host_labels;  // which a host must have
    OnSuspicion on_suspicion = OnSuspicion::wait;
};

}  // namespace shoal::model
