// NetworkSweeper: has a host's interfaces and rules follow its microVMs and networks.
#pragma once

#include <memory>
#include <string>

#include "controlplane/network/host_networks.h"
#include "controlplane/node/mirror/mirror.h"
#include "controlplane/node/process/runner.h"

namespace shoal::network {

class NetworkSweeper final : public node::MirrorListener {
public:
    // Borrows all but the host's name.
    NetworkSweeper(store::EventLoop& loop, const node::Mirror& mirror, const node::Runner& runner,
                   HostNetworks& networks, std::string host)
        : loop_{loop},
          mirror_{mirror},
          runner_{runner},
          networks_{networks},
          host_{std::move(host)} {}
    NetworkSweeper(const NetworkSweeper&) = delete;
    NetworkSweeper& operator=(const NetworkSweeper&) = delete;
    ~NetworkSweeper() override = default;

    // Once the mirror is ready.
    void start() { look_soon(); }
    void look_soon();

private:
    void on_microvm_changed(const std::string& name) override;
    void on_network_changed(const std::string&) override { look_soon(); }
    void look();
    void look_after(store::EventLoop::Duration delay);
    [[nodiscard]] bool has_place_here(const node::MicroVm& microvm) const;

    store::EventLoop& loop_;
    const node::Mirror& mirror_;
    const node::Runner& runner_;
    HostNetworks& networks_;
    std::string host_;
    bool will_look_ = false;
    std::shared_ptr<NetworkSweeper*> self_ = std::make_shared<NetworkSweeper*>(this);
};

}  // namespace shoal::network
