// Truth: where each microVM really is, whatever anybody believes, and the rules that hold always.
#pragma once

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
    void loaded(const std::string& microvm, SimHost& host);
    void unloaded(const std::string& microvm, SimHost& host);
    // At most one of all copies of a microVM runs: after each step of the simulation.
    void check() const;
    [[nodiscard]] const std::vector<SimHost*>& holders(const std::string& microvm) const;

private:
    std::unordered_map<std::string, std::vector<SimHost*>> holders_;
    std::set<std::string> doubled_;  // with more than one holder
};

}  // namespace shoal::sim
