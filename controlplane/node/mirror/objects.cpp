// A key's folder says which.
#include "controlplane/node/mirror/objects.h"

#include <algorithm>

#include "controlplane/model/keys.h"
#include "controlplane/node/mirror/decode.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;

}  // namespace

// One that cannot be read is not used by anybody, but its files are not nobody's.
template <typename Body>
bool Objects::apply_to(ObjectsByName<Body>& objects, std::string_view folder,
                       const store::Event& event) {
    const std::string_view key = event.entry.key;
    if (!key.starts_with(folder)) {
        return false;
    }
    const std::string name{key.substr(folder.size())};
    if (auto body = decode<Body>(event)) {
        objects[name] = {std::move(*body), event.entry.mod_revision};
        damaged_.erase(event.entry.key);
    } else {
        objects.erase(name);
        if (event.kind == store::Event::Kind::put) {
            damaged_.insert(event.entry.key);
        } else {
            damaged_.erase(event.entry.key);
        }
    }
    return true;
}

bool Objects::has_damaged(std::string_view folder) const {
    const auto first = damaged_.lower_bound(folder);
    return first != damaged_.end() && first->starts_with(folder);
}

bool Objects::apply(const store::Event& event) {
    if (event.entry.key.starts_with(keys::addresses)) {
        apply_address(event);
        return true;
    }
    if (event.entry.key.starts_with(keys::copies)) {
        apply_copy(event);
        return true;
    }
    return apply_to(templates, keys::templates, event) || apply_to(images, keys::images, event) ||
           apply_to(volumes, keys::volumes, event) || apply_to(networks, keys::networks, event) ||
           apply_to(projects, keys::projects, event);
}

void Objects::apply_address(const store::Event& event) {
    const std::string_view key = event.entry.key;
    const std::string_view rest = key.substr(keys::addresses.size());
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const std::string network{rest.substr(0, slash)};
    const auto ip = network::parse_address(rest.substr(std::min(slash + 1, rest.size())));
    if (!ip) {
        return;  // Nobody of ours writes such a key.
    }
    forget_address(network, *ip);
    if (const auto address = decode<model::Address>(event)) {
        addresses[network][*ip] = address->microvm;
        addresses_of[address->microvm].emplace(network, *ip);
    }
}

void Objects::forget_address(const std::string& network, network::Ipv4 ip) {
    const auto found = addresses.find(network);
    if (found == addresses.end()) {
        return;
    }
    const auto taken = found->second.find(ip);
    if (taken == found->second.end()) {
        return;
    }
    const auto holder = addresses_of.find(taken->second);
    holder->second.erase({network, ip});
    if (holder->second.empty()) {
        addresses_of.erase(holder);
    }
    found->second.erase(taken);
    if (found->second.empty()) {
        addresses.erase(found);
    }
}

void Objects::apply_copy(const store::Event& event) {
    const std::string_view path = std::string_view{event.entry.key}.substr(keys::copies.size());
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string host{path.substr(0, slash)};
    const std::string name{path.substr(std::min(slash + 1, path.size()))};
    if (auto copy = decode<model::BundleCopy>(event)) {
        copies[name][host] = {std::move(*copy), event.entry.mod_revision};
        return;
    }
    const auto found = copies.find(name);
    if (found != copies.end() && found->second.erase(host) != 0 && found->second.empty()) {
        copies.erase(found);
    }
}

const Object<model::BundleCopy>* Objects::copy_of(const std::string& name,
                                                  const std::string& host) const {
    const auto found = copies.find(name);
    if (found == copies.end()) {
        return nullptr;
    }
    const auto there = found->second.find(host);
    return there == found->second.end() ? nullptr : &there->second;
}

std::vector<std::string> Objects::hosts_with(const std::string& name,
                                             const std::string& digest) const {
    std::vector<std::string> hosts;
    if (const auto found = copies.find(name); found != copies.end()) {
        for (const auto& [host, copy] : found->second) {
            if (copy.body.digest == digest) {
                hosts.push_back(host);
            }
        }
    }
    return hosts;
}

std::optional<network::Ipv4> Objects::address_of(const std::string& microvm,
                                                 const std::string& network) const {
    const auto found = addresses_of.find(microvm);
    if (found == addresses_of.end()) {
        return std::nullopt;
    }
    const auto first = found->second.lower_bound({network, 0});
    return first != found->second.end() && first->first == network ? std::optional{first->second}
                                                                   : std::nullopt;
}

}  // namespace shoal::node
