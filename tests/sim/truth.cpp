// Only microVMs with more than one holder are looked at.
#include "tests/sim/truth.h"

#include <algorithm>

#include "tests/sim/sim_host.h"

namespace shoal::sim {

void Truth::loaded(const std::string& microvm, SimHost& host) {
    auto& holders = holders_[microvm];
    holders.push_back(&host);
    if (holders.size() > 1) {
        doubled_.insert(microvm);
    }
}

void Truth::unloaded(const std::string& microvm, SimHost& host) {
    auto& holders = holders_[microvm];
    std::erase(holders, &host);
    if (holders.size() < 2) {
        doubled_.erase(microvm);
    }
    if (holders.empty()) {
        holders_.erase(microvm);
    }
}

void Truth::check() const {
    for (const std::string& microvm : doubled_) {
        const auto& holders = holders_.at(microvm);
        const auto running = std::ranges::count_if(
            holders, [](const SimHost* host) { return host->is_running_now(); });
        if (running > 1) {
            throw Violation{"two copies of " + microvm + " run, one of them on " +
                            holders.front()->name() + ", one on " + holders.back()->name()};
        }
    }
}

const std::vector<SimHost*>& Truth::holders(const std::string& microvm) const {
    static const std::vector<SimHost*> none;
    const auto found = holders_.find(microvm);
    return found == holders_.end() ? none : found->second;
}

}  // namespace shoal::sim
