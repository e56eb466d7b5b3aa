// Names of interfaces have 15 characters: a prefix of this shoald's, a kind, and a hash.
#include "controlplane/network/host_networks.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <exception>

#include "controlplane/network/links.h"
#include "controlplane/node/provisions.h"
#include "devices/host/log.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::network {
namespace {

constexpr std::size_t key_letters = 4;
constexpr std::size_t name_letters = 8;  // 40 bits: two of 10,000 are the same once in 20,000
constexpr char bridge_kind = 'b';
constexpr char tap_kind = 't';

// FNV-1a, in letters of 5 bits.
std::string hash_letters(const std::string& text, std::size_t count) {
    constexpr std::string_view letters = "abcdefghijkmnpqrstuvwxyz23456789";
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char byte : text) {
        hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    }
    hash ^= hash >> 32;
    std::string result;
    for (std::size_t at = 0; at < count; ++at) {
        result += letters[hash >> (5 * at) & 31];
    }
    return result;
}

// What masquerading needs. Only ever switched on: others may need it too.
void allow_forwarding() {
    const host::UniqueFd file{::open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC)};
    if (!file || ::write(file.get(), "1", 1) != 1) {
        host::throw_os_error("cannot write /proc/sys/net/ipv4/ip_forward");
    }
}

template <typename Step>
bool try_to(Step step) {
    try {
        step();
        return true;
    } catch (const std::exception& error) {
        host::log(host::LogLevel::error, error.what());
        return false;
    }
}

}  // namespace

HostNetworks::HostNetworks(boost::asio::io_context& context, const std::string& key)
    : prefix_{"sh" + hash_letters(key, key_letters)}, firewall_{context, "shoal_" + prefix_} {}

std::string HostNetworks::tap_of(const std::string& microvm) const {
    return prefix_ + tap_kind + hash_letters(microvm, name_letters);
}

std::string HostNetworks::bridge_of(const std::string& network) const {
    return prefix_ + bridge_kind + hash_letters(network, name_letters);
}

std::vector<std::string> HostNetworks::ours(char kind) const {
    std::vector<std::string> names = interfaces();
    std::erase_if(names,
                  [&](const std::string& name) { return !name.starts_with(prefix_ + kind); });
    return names;
}

// The bridge is made first, bare: a sweep that looks meanwhile sees by it that its rules are
// wanted.
std::string HostNetworks::attach(const std::string& microvm, const Wanted& network,
                                 const std::vector<Wanted>& all) {
    firewall_.expect_idle();  // Many may wait: nothing else is looked at.
    const std::string bridge = bridge_of(network.name);
    std::vector<std::string> there = ours(bridge_kind);
    if (std::ranges::find(there, bridge) == there.end()) {
        add_bridge(bridge);
        there.push_back(bridge);
        guarded_.clear();
    }
    guard(all, {there.begin(), there.end()});  // before there is anything to guard
    if (network.nat) {
        allow_forwarding();
    }
    const std::string tap = tap_of(microvm);
    ensure_tap(tap, bridge);
    return tap;
}

// With the rules come the bridges: one that is there may be bare, or have the subnet of an earlier
// network of this name.
void HostNetworks::guard(const std::vector<Wanted>& networks,
                         const std::set<std::string>& bridges) {
    std::vector<GuardedBridge> wanted;
    for (const Wanted& network : networks) {
        if (const std::string bridge = bridge_of(network.name); bridges.contains(bridge)) {
            wanted.push_back({bridge, network.subnet, network.nat});
        }
    }
    firewall_.expect(wanted);
    is_guarding_ = true;
    if (wanted == guarded_) {
        return;
    }
    for (const GuardedBridge& bridge : wanted) {
        ensure_bridge(bridge.name, bridge.subnet);
    }
    guarded_ = std::move(wanted);
}

bool HostNetworks::sweep(const std::set<std::string>& microvms,
                         const std::vector<Wanted>& networks) {
    std::set<std::string> taps;
    for (const std::string& microvm : microvms) {
        taps.insert(tap_of(microvm));
    }
    bool is_done = true;
    for (const std::string& tap : ours(tap_kind)) {
        if (!taps.contains(tap)) {
            is_done = try_to([&] { remove_tap(tap); }) && is_done;
        }
    }
    std::set<std::string> wanted;
    for (const Wanted& network : networks) {
        wanted.insert(bridge_of(network.name));
    }
    const std::vector<std::string> there = ours(bridge_kind);
    if (!is_guarding_ && there.empty()) {
        return is_done;
    }
    // The rules first: if this is cut off, the bridge that is left brings the next sweep here.
    try {
        guard(networks, {there.begin(), there.end()});
    } catch (const node::NotYet&) {
        return false;
    } catch (const std::exception& error) {
        host::log(host::LogLevel::error, error.what());
        is_done = false;
    }
    for (const std::string& bridge : there) {
        if (!wanted.contains(bridge)) {
            is_done = try_to([&] { remove_bridge(bridge); }) && is_done;
        }
    }
    return is_done;
}

}  // namespace shoal::network
