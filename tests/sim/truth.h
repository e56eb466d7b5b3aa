// Truth: where each microVM really is, whatever anybody believes, and the rules that hold always.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace shoal::sim {

class SimHost;

// A rule was broken.
class Violation : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class Truth {
public:
    // `generation`: of the checkpoint that it goes on from.
    void loaded(const std::string& microvm, SimHost& host, std::uint64_t generation);
    // The store has this checkpoint of it, taken under the placement that is current; 0: none.
    void recorded(const std::string& microvm, std::uint64_t generation);
    // The volume of this microVM is the host's of this name.
    void has_volume(const std::string& microvm, const std::string& host) {
        volume_hosts_[microvm] = host;
    }
    void unloaded(const std::string& microvm, SimHost& host);
    // At most one of all copies of a microVM runs: after each step of the simulation.
    void check() const;
    [[nodiscard]] const std::vector<SimHost*>& holders(const std::string& microvm) const;

private:
    std::unordered_map<std::string, std::vector<SimHost*>> holders_;
    std::unordered_map<std::string, std::uint64_t> recorded_;    // the newest checkpoints
    std::unordered_map<std::string, std::string> volume_hosts_;  // by microVM
    std::set<std::string> doubled_;                              // with more than one holder
};

}  // namespace shoal::sim
