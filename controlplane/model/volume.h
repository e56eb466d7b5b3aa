// A volume: a disk of a size, on one host, that outlives the microVMs it is attached to. With the
// checkpoint of a microVM it may come to another host. One of a group's member (VolumeClaim in
// group.h) is deleted with the group.
#pragma once

#include <cstdint>
#include <string>

namespace shoal::model {

struct Volume {
    std::string name;
    std::uint64_t size_mib = 0;
    std::string host;  // which has its file
    // How often a host has made it anew from a checkpoint: what others have of it is nobody's.
    std::uint64_t takeovers = 0;
    std::string group{};              // whose member it was made for; empty: nobody's
    std::uint64_t group_created = 0;  // the revision: another group of that name is not the same
};

}  // namespace shoal::model
