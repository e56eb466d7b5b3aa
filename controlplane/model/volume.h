// A volume: a disk of a size, on one host, that outlives the microVMs it is attached to. With the
// checkpoint of a microVM it may come to another host.
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
};

}  // namespace shoal::model
