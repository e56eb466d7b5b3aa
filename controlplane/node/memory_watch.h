// MemoryWatch: whether the host is under memory pressure, so that nothing more is placed on it.
// It is as soon as it is short of memory (shortage() in memory_state.h), and not any more once it
// has been well above what it is short at for 10 s: else each microVM that waits would bring it
// back as soon as there is room for one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/node/memory_state.h"
#include "controlplane/store/event_loop.h"

namespace shoal::node {

class MemoryWatch {
public:
    using Read = std::function<MemoryState()>;
    // Told when it changes: why, in a sentence; empty: it is over.
    using Tell = std::function<void(const std::string& pressure)>;

    // Borrows loop. `reserved_mib` is not for microVMs.
    MemoryWatch(store::EventLoop& loop, std::uint64_t reserved_mib, Tell tell,
                Read read = read_memory_state)
        : loop_{loop},
          reserved_mib_{reserved_mib},
          tell_{std::move(tell)},
          read_{std::move(read)} {}
    MemoryWatch(const MemoryWatch&) = delete;
    MemoryWatch& operator=(const MemoryWatch&) = delete;
    ~MemoryWatch() = default;

    // Looks now, and each second from now on.
    void start();

private:
    void look();

    store::EventLoop& loop_;
    std::uint64_t reserved_mib_;
    Tell tell_;
    Read read_;
    bool is_under_pressure_ = false;
    std::optional<store::EventLoop::Duration> calm_since_;
    std::shared_ptr<MemoryWatch*> self_ = std::make_shared<MemoryWatch*>(this);
};

}  // namespace shoal::node
