// StartWaits: requests to microVMs that are about to run.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "controlplane/node/mirror/mirror.h"
#include "controlplane/store/event_loop.h"

namespace shoal::rest {

// Until a microVM runs that was created just before.
inline constexpr std::chrono::seconds start_patience{30};

class StartWaits final : public node::MirrorListener {
public:
    using Task = store::EventLoop::Task;

    // Borrows loop and mirror. `host`: this one's name.
    StartWaits(store::EventLoop& loop, node::Mirror& mirror, std::string host);
    StartWaits(const StartWaits&) = delete;
    StartWaits& operator=(const StartWaits&) = delete;
    ~StartWaits() override;

    // Runs `task` once, on the loop's thread: at once or as soon as the microVM runs here, is
    // placed on another host or will not run any more, or after so long. Not when this is
    // destroyed before.
    void when_settled(const std::string& name, std::chrono::milliseconds patience, Task task);

private:
    using Waiting = std::multimap<std::string, std::pair<std::uint64_t, Task>>;

    void on_microvm_changed(const std::string& name) override;
    [[nodiscard]] bool is_settled(const std::string& name) const;
    void give_up(const std::string& name, std::uint64_t id);

    store::EventLoop& loop_;
    node::Mirror& mirror_;
    std::string host_;
    std::uint64_t last_id_ = 0;
    Waiting waiting_;
    std::shared_ptr<StartWaits*> self_ = std::make_shared<StartWaits*>(this);
};

}  // namespace shoal::rest
