// The mirror tells of every change; the loop's timers of the end of patience.
#include "controlplane/api/start_waits.h"

#include <utility>

namespace shoal::rest {

StartWaits::StartWaits(store::EventLoop& loop, node::Mirror& mirror, std::string host)
    : loop_{loop}, mirror_{mirror}, host_{std::move(host)} {
    mirror_.add_listener(*this);
}

StartWaits::~StartWaits() {
    mirror_.remove_listener(*this);
}

void StartWaits::when_settled(const std::string& name, std::chrono::milliseconds patience,
                              Task task) {
    if (is_settled(name)) {
        return task();
    }
    const std::uint64_t id = ++last_id_;
    waiting_.emplace(name, std::pair{id, std::move(task)});
    loop_.call_after(patience, [weak = std::weak_ptr{self_}, name, id] {
        if (const auto self = weak.lock()) {
            (*self)->give_up(name, id);
        }
    });
}

bool StartWaits::is_settled(const std::string& name) const {
    const node::MicroVm* microvm = mirror_.find(name);
    return microvm == nullptr || node::has_ended(*microvm) || microvm->deletion ||
           microvm->spec.stop || (microvm->placement && microvm->placement->host != host_) ||
           (microvm->status && microvm->status->phase == model::Phase::running);
}

// Later: a task may be what changes the mirror's listeners.
void StartWaits::on_microvm_changed(const std::string& name) {
    const auto [first, last] = waiting_.equal_range(name);
    if (first == last || !is_settled(name)) {
        return;
    }
    for (auto at = first; at != last; ++at) {
        loop_.post(std::move(at->second.second));
    }
    waiting_.erase(first, last);
}

void StartWaits::give_up(const std::string& name, std::uint64_t id) {
    const auto [first, last] = waiting_.equal_range(name);
    for (auto at = first; at != last; ++at) {
        if (at->second.first == id) {
            Task task = std::move(at->second.second);
            waiting_.erase(at);
            return task();
        }
    }
}

}  // namespace shoal::rest
