// HostNetworks: a bridge for each network that has had a microVM on this host, a TAP for each such
// microVM, and the rules between them. What there is, is what the kernel says: nothing else is
// remembered, so that nothing is left over after a kill -9.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/network/firewall.h"

namespace shoal::network {

class HostNetworks {
public:
    // `key` tells this shoald's interfaces and rules from those of others on the host: its run
    // folder. Borrows the context; on its thread.
    HostNetworks(boost::asio::io_context& context, const std::string& key);

    struct Wanted {
        std::string name;
        Subnet subnet;
        bool nat = false;
    };
    // The TAP of a microVM in a network, ready, once the rules hold. Throws NotYet
    // (node/provisions.h) while they are set, std::system_error or std::runtime_error.
    [[nodiscard]] std::string attach(const std::string& microvm, const Wanted& network,
                                     const std::vector<Wanted>& all);
    // Removes the TAPs of all but these microVMs, and the bridges of all but these networks.
    // Failures are logged. False: a later sweep has to try again, or to go on when rules are set.
    [[nodiscard]] bool sweep(const std::set<std::string>& microvms,
                             const std::vector<Wanted>& networks);

    [[nodiscard]] std::string tap_of(const std::string& microvm) const;
    [[nodiscard]] std::string bridge_of(const std::string& network) const;

private:
    [[nodiscard]] std::vector<std::string> ours(char kind) const;
    void guard(const std::vector<Wanted>& networks, const std::set<std::string>& bridges);

    std::string prefix_;
    Firewall firewall_;
    bool is_guarding_ = false;            // this process has set rules
    std::vector<GuardedBridge> guarded_;  // of which the bridges are as they should be
};

}  // namespace shoal::network
