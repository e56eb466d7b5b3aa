// Only microVMs with more than one holder are looked at.
#include "tests/sim/truth.h"

#include <algorithm>

#include "tests/sim/sim_host.h"

namespace shoal::sim {

void Truth::loaded(const std::string& microvm, SimHost& host, std::uint64_t generation) {
    const auto newest = recorded_.find(microvm);
    const std::uint64_t expected = newest == recorded_.end() ? 0 : newest->second;
    if (generation != expected) {
        throw Violation{microvm + " goes on at " + host.name() + " from checkpoint " +
                        std::to_string(generation) + ", not from " + std::to_string(expected)};
    }
    const auto volume = volume_hosts_.find(microvm);
    if (volume != volume_hosts_.end() && volume->second != host.name()) {
        throw Violation{microvm + " runs on " + host.name() + ", but its volume is on " +
                        volume->second};
    }
    auto& holders = holders_[microvm];
    holders.push_back(&host);
    if (holders.size() > 1) {
        doubled_.insert(microvm);
    }
}

void Truth::recorded(const std::string& microvm, std::uint64_t generation) {
    if (generation == 0) {
        recorded_.erase(microvm);
        return;
    }
    std::uint64_t& newest = recorded_[microvm];
    if (generation != newest + 1) {
        throw Violation{microvm + " has checkpoint " + std::to_string(generation) + " after " +
                        std::to_string(newest)};
    }
    newest = generation;
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
