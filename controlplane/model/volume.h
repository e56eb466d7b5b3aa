// A volume: a disk of a size, on one host, that outlives the microVMs it is attached to.
#pragma once

#include <cstdint>
#include <string>

namespace shoal::model {

struct Volume {
    std::string name;
    std::uint64_t size_mib = 0;
    std::string host;  // which has its file
};

}  // namespace shoal::model
