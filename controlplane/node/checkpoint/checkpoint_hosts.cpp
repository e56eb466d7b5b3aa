// Rendezvous hashing: of each host and the microVM's name together; the highest one has it.
#include "controlplane/node/checkpoint/checkpoint_hosts.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <set>
#include <string_view>
#include <tuple>

namespace shoal::node {
namespace {

// Heartbeats come every half second; a host is lost after 4 s.
constexpr std::chrono::seconds longest_silence{2};

// FNV-1a, and SplitMix64's last steps, since names differ in their last letters: the same in every
// shoald, whatever it was compiled with.
std::uint64_t hash_of(std::string_view microvm, std::string_view host) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const std::string_view part : {microvm, std::string_view{"@"}, host}) {
        for (const char byte : part) {
            hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
        }
    }
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9ULL;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebULL;
    return hash ^ hash >> 31;
}

}  // namespace

bool is_reachable(const HostEntry& host, store::EventLoop::Duration now) {
    return host.revision != 0 && host.heartbeat_revision != 0 && !host.host.peer_address.empty() &&
           now - host.beat_at <= longest_silence;
}

std::vector<std::string> choose_holders(const std::map<std::string, HostEntry>& hosts,
                                        const std::string& self, const std::string& microvm,
                                        std::uint64_t copies, store::EventLoop::Duration now) {
    std::set<std::string> zones;  // that have it
    if (const auto own = hosts.find(self); own != hosts.end()) {
        zones.insert(own->second.host.zone);
    }
    std::vector<std::string> holders;
    while (holders.size() < copies) {
        const auto rank = [&](const auto& entry) {
            return std::tuple{!zones.contains(entry.second.host.zone),
                              hash_of(microvm, entry.first)};
        };
        auto best = hosts.end();
        for (auto entry = hosts.begin(); entry != hosts.end(); ++entry) {
            const bool is_taken =
                entry->first == self || std::ranges::find(holders, entry->first) != holders.end();
            const bool is_leaving = entry->second.host.scheduling == model::Scheduling::draining;
            if (!is_taken && !is_leaving && is_reachable(entry->second, now) &&
                (best == hosts.end() || rank(*entry) > rank(*best))) {
                best = entry;
            }
        }
        if (best == hosts.end()) {
            break;
        }
        holders.push_back(best->first);
        zones.insert(best->second.host.zone);
    }
    return holders;
}

}  // namespace shoal::node
