// A group: so many microVMs of one kind, kept at that number.
#pragma once

#include <cstdint>
#include <string>

#include "controlplane/model/microvm.h"

namespace shoal::model {

enum class Spreading { bin_pack, spread };
// No two of the group on one host, or in one zone.
enum class AntiAffinity { none, host, zone };

struct Group {
    std::string name;
    std::uint64_t count = 0;
    MicroVmSpec microvm;  // its name is empty: members are NAME-0, NAME-1, ...
    Spreading spreading = Spreading::bin_pack;
    AntiAffinity anti_affinity = AntiAffinity::none;
    Labels host_labels;  // which a host must have
};

}  // namespace shoal::model
