// AddressBook: gives each microVM that is placed on this host an address of its network, and takes
// addresses back whose microVM is gone, where it leads or is alone. Level-triggered, over the
// store.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "controlplane/node/mirror/mirror.h"

namespace shoal::network {

class AddressBook final : public node::MirrorListener {
public:
    // Borrows all but the name of this host.
    AddressBook(store::EventLoop& loop, store::Store& store, const node::Mirror& mirror,
                std::string host)
        : loop_{loop}, store_{store}, mirror_{mirror}, host_{std::move(host)} {}
    AddressBook(const AddressBook&) = delete;
    AddressBook& operator=(const AddressBook&) = delete;
    ~AddressBook() override = default;

    // Once the mirror is ready.
    void start();

private:
    void on_microvm_changed(const std::string& name) override;
    void on_address_changed(const std::string& network) override;
    void on_leader_changed(const std::string& host) override;
    void give(const node::MicroVm& microvm);
    void take_back(const std::string& name);
    void commit(const std::string& name, store::Transaction transaction);

    store::EventLoop& loop_;
    store::Store& store_;
    const node::Mirror& mirror_;
    std::string host_;
    std::set<std::string> committing_;
    // By networks: microVMs that found no address free.
    std::map<std::string, std::set<std::string>> waiting_;
    std::shared_ptr<AddressBook*> self_ = std::make_shared<AddressBook*>(this);
};

}  // namespace shoal::network
