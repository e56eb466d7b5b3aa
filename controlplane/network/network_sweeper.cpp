// Nothing waits for this: what is left over is gone a little later.
#include "controlplane/network/network_sweeper.h"

#include <chrono>
#include <exception>
#include <set>
#include <string>

#include "controlplane/node/host_provisions.h"
#include "devices/host/log.h"

namespace shoal::network {
namespace {

// Many changes, one look; by then a microVM that has ended has let go of its TAP.
constexpr std::chrono::milliseconds delay{100};
// What still is in use, or could not be removed, is looked at again.
constexpr std::chrono::milliseconds retry{500};

}  // namespace

// Most hosts' microVMs have no network.
void NetworkSweeper::on_microvm_changed(const std::string&) {
    if (!mirror_.objects().networks.empty() || !mirror_.objects().addresses.empty()) {
        look_soon();
    }
}

void NetworkSweeper::look_soon() {
    look_after(delay);
}

void NetworkSweeper::look_after(store::EventLoop::Duration delay) {
    if (std::exchange(will_look_, true)) {
        return;
    }
    loop_.call_after(delay, [weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->will_look_ = false;
            (*self)->look();
        }
    });
}

// It runs here, or is to come here.
bool NetworkSweeper::has_place_here(const node::MicroVm& microvm) const {
    return (microvm.placement && microvm.placement->host == host_) ||
           (microvm.move && microvm.move->to == host_ && microvm.move->failure.empty());
}

// A microVM that shall run keeps its TAP between two attempts; one that has moved away, until its
// processes here are gone.
void NetworkSweeper::look() {
    std::set<std::string> microvms;
    for (const auto& [name, microvm] : mirror_.microvms()) {
        if (!microvm.spec.network.empty() && !node::has_ended(microvm) && !microvm.deletion &&
            has_place_here(microvm)) {
            microvms.insert(name);
        }
    }
    bool is_done = true;
    for (const std::string& name : runner_.names()) {
        const node::MicroVm* microvm = mirror_.find(name);
        const bool has_network = microvm == nullptr || !microvm->spec.network.empty();
        is_done = !(has_network && microvms.insert(name).second) && is_done;
    }
    try {
        is_done = networks_.sweep(microvms, node::wanted_networks(mirror_)) && is_done;
    } catch (const std::exception& error) {
        host::log(host::LogLevel::error, std::string{"networks cannot be seen: "} + error.what());
        is_done = false;
    }
    if (!is_done) {
        look_after(retry);
    }
}

}  // namespace shoal::network
