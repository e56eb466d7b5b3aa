// A volume: a disk of a size that outlives the microVMs it is attached to. Its file is on one host,
// and may come to another one with the checkpoint of a microVM; or it is on a storage that several
// hosts reach. One of a group's member (VolumeClaim in group.h) is deleted with the group.
#pragma once

#include <cstdint>
#include <string>

namespace shoal::model {

struct Volume {
    std::string name;
    std::uint64_t size_mib = 0;
    std::string host;  // which has its file; on a storage: which has attached it last, or made it
    // How often a host has made it anew from a checkpoint: what others have of it is nobody's.
    std::uint64_t takeovers = 0;
    std::string storage{};            // which has its file, as hosts call it; empty: its host
    std::string group{};              // whose member it was made for; empty: nobody's
    std::uint64_t group_created = 0;  // the revision: another group of that name is not the same
};

}  // namespace shoal::model
