// A network: microVMs of one host that reach each other, and nobody else of other networks.
#pragma once

#include <string>

namespace shoal::model {

struct Network {
    std::string name;
    std::string subnet;  // ADDRESS/BITS; its first address is the host's, the gateway
    bool nat = false;    // microVMs reach what the host reaches, under the host's address
};

// Who has an address of a network.
struct Address {
    std::string microvm;
};

}  // namespace shoal::model
