// Nothing waits for this: what is left over is gone a little later.
#include "controlplane/network/network_sweeper.h"

#include <chrono>
#include <set>
#include <string>

#include "controlplane/node/host_provisions.h"

namespace shoal::network {
namespace {

// Many changes, one look; by then a microVM that has ended has let go of its TAP.
constexpr std::chrono::milliseconds delay{100};

}  // namespace

// Most hosts' microVMs have no network.
void NetworkSweeper::on_microvm_changed(const std::string&) {
    if (!mirror_.objects().networks.empty() || !mirror_.objects().addresses.empty()) {
        look_soon();
    }
}

void NetworkSweeper::look_soon() {
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

// A microVM that shall run keeps its TAP between two attempts.
void NetworkSweeper::look() {
    std::set<std::string> microvms;
    for (const std::string& name : runner_.names()) {
        microvms.insert(name);
    }
    for (const auto& [name, microvm] : mirror_.microvms()) {
        if (!microvm.spec.network.empty() && !node::has_ended(microvm) && !microvm.deletion) {
            microvms.insert(name);
        }
    }
    networks_.sweep(microvms, node::wanted_networks(mirror_));
}

}  // namespace shoal::network
