// A look reads two small files of /proc.
#include "controlplane/node/memory_watch.h"

#include <chrono>

#include "devices/host/log.h"

namespace shoal::node {
namespace {

constexpr std::chrono::seconds period{1};
// As long as the kernel's average looks back.
constexpr std::chrono::seconds calm_for{10};

}  // namespace

void MemoryWatch::start() {
    look();
    loop_.call_after(period, [weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->start();
        }
    });
}

void MemoryWatch::look() {
    const MemoryState state = read_();
    const std::string why = shortage(state, reserved_mib_);
    if (!is_under_pressure_ && !why.empty()) {
        is_under_pressure_ = true;
        host::log(host::LogLevel::warn, "under memory pressure: " + why);
        return tell_(why);
    }
    if (!is_under_pressure_ || !is_calm(state, reserved_mib_)) {
        return calm_since_.reset();
    }
    calm_since_ = calm_since_.value_or(loop_.now());
    if (loop_.now() - *calm_since_ >= calm_for) {
        is_under_pressure_ = false;
        host::log(host::LogLevel::info, "the memory pressure is over");
        tell_("");
    }
}

}  // namespace shoal::node
