// Firewall: nftables rules that keep networks apart. One table for each shoald, replaced as a whole
// and at once.
#pragma once

#include <string>
#include <vector>

#include "controlplane/network/subnet.h"

namespace shoal::network {

struct GuardedBridge {
    std::string name;
    Subnet subnet;
    bool nat = false;
    bool operator==(const GuardedBridge& other) const {
        return name == other.name && subnet.first == other.subnet.first &&
               subnet.bits == other.subnet.bits && nat == other.nat;
    }
};

// For `nft -f`. Without bridges there is no table left.
[[nodiscard]] std::string firewall_script(const std::string& table,
                                          const std::vector<GuardedBridge>& bridges);

// Runs nft, and waits for it. Throws std::system_error or std::runtime_error.
void apply_firewall(const std::string& script);

}  // namespace shoal::network
