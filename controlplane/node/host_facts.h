// HostFacts: has the store know what this host is and has to give. Whether it takes more microVMs,
// which users decide, stays as the store has it.
#pragma once

#include <memory>

#include "controlplane/model/host.h"
#include "controlplane/store/event_loop.h"
#include "controlplane/store/store.h"

namespace shoal::node {

class HostFacts {
public:
    // Borrows loop and store.
    HostFacts(store::EventLoop& loop, store::Store& store, model::Host host)
        : loop_{loop}, store_{store}, host_{std::move(host)} {}
    HostFacts(const HostFacts&) = delete;
    HostFacts& operator=(const HostFacts&) = delete;
    ~HostFacts() = default;

    // Until it is told.
    void tell();
    // Told at once if it is told already.
    void set_expiry(std::string certificate, std::string authority);
    void set_memory_pressure(std::string pressure);

private:
    void tell_anew();
    void write(const store::Lookup& before);
    void tell_later();

    store::EventLoop& loop_;
    store::Store& store_;
    model::Host host_;
    bool is_told_ = false;  // or being told
    std::shared_ptr<HostFacts*> self_ = std::make_shared<HostFacts*>(this);
};

}  // namespace shoal::node
