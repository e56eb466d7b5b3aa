// An address is a key that nobody else may create: two hosts never give out the same one.
#include "controlplane/network/address_book.h"

#include <chrono>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/network/subnet.h"

namespace shoal::network {
namespace {

namespace keys = model::keys;

// After a conflict or another failure. By then the mirror shows what was in the way.
constexpr std::chrono::milliseconds retry_delay{20};

}  // namespace

void AddressBook::start() {
    for (const auto& [name, microvm] : mirror_.microvms()) {
        on_microvm_changed(name);
    }
    for (const auto& [owner, addresses] : mirror_.objects().addresses_of) {
        on_microvm_changed(owner);
    }
}

// One may have become free.
void AddressBook::on_address_changed(const std::string& network) {
    if (const auto found = waiting_.find(network); found != waiting_.end()) {
        const auto waiting = std::move(found->second);
        waiting_.erase(found);
        for (const std::string& name : waiting) {
            on_microvm_changed(name);
        }
    }
}

// What the one before has not taken back is left to the new one.
void AddressBook::on_leader_changed(const std::string& host) {
    if (host == host_) {
        start();
    }
}

void AddressBook::on_microvm_changed(const std::string& name) {
    if (committing_.contains(name)) {
        return;  // Looked at again when that is done.
    }
    const node::MicroVm* microvm = mirror_.find(name);
    if (microvm == nullptr) {
        return take_back(name);
    }
    const bool wants_one = !microvm->spec.network.empty() && !microvm->deletion &&
                           microvm->placement && microvm->placement->host == host_;
    if (wants_one && !mirror_.objects().address_of(name, microvm->spec.network)) {
        give(*microvm);
    }
}

void AddressBook::give(const node::MicroVm& microvm) {
    const std::string& network = microvm.spec.network;
    const auto& objects = mirror_.objects();
    const auto found = objects.networks.find(network);
    const auto subnet =
        found == objects.networks.end() ? std::nullopt : parse_subnet(found->second.body.subnet);
    if (!subnet) {
        return;
    }
    static const std::map<Ipv4, std::string> none;
    const auto taken = objects.addresses.find(network);
    const auto free = find_free(*subnet, taken == objects.addresses.end() ? none : taken->second);
    if (!free) {  // Whoever starts it says so.
        waiting_[network].insert(microvm.spec.name);
        return;
    }
    const std::string key = keys::of(keys::addresses, network, to_text(*free));
    store::Transaction transaction;
    transaction.conditions = {{key, 0},
                              {keys::of(keys::microvms, microvm.spec.name), microvm.revision},
                              {keys::of(keys::networks, network), found->second.revision}};
    transaction.operations.emplace_back(
        store::Put{key, model::to_json(model::Address{microvm.spec.name})});
    commit(microvm.spec.name, std::move(transaction));
}

// By one host; by all where nobody leads.
void AddressBook::take_back(const std::string& name) {
    const auto held = mirror_.objects().addresses_of.find(name);
    const bool is_another_ones = !mirror_.leader().empty() && mirror_.leader() != host_;
    if (held == mirror_.objects().addresses_of.end() || is_another_ones) {
        return;
    }
    store::Transaction transaction;
    transaction.conditions = {{keys::of(keys::microvms, name), 0}};
    for (const auto& [network, ip] : held->second) {
        transaction.operations.emplace_back(
            store::Delete{keys::of(keys::addresses, network, to_text(ip))});
    }
    commit(name, std::move(transaction));
}

void AddressBook::commit(const std::string& name, store::Transaction transaction) {
    committing_.insert(name);
    store_.commit(std::move(transaction),
                  [weak = std::weak_ptr{self_}, name](const store::Result<store::Revision>&) {
                      const auto self = weak.lock();
                      if (!self) {
                          return;
                      }
                      (*self)->loop_.call_after(retry_delay, [weak, name] {
                          if (const auto book = weak.lock()) {
                              (*book)->committing_.erase(name);
                              (*book)->on_microvm_changed(name);
                          }
                      });
                  });
}

}  // namespace shoal::network
