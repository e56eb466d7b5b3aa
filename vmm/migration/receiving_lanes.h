// ReceivingLanes: the further connections of a migration at its destination. A thread for each puts
// the pages that come over it to their places.
//
// A page always comes over the same connection, so the order of its versions is kept. That all have
// come which were sent before a message of the first connection, each connection says by a `sync`.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "vmm/machine/thread.h"
#include "vmm/migration/channel.h"

namespace shoal::migration {

class ReceivingLanes {
public:
    // `store` takes a frame of pages, on several threads at once; what it returns or throws is what
    // went wrong.
    explicit ReceivingLanes(std::function<std::optional<std::string>(const Frame&)> store)
        : store_{std::move(store)} {}
    // Hangs up.
    ~ReceivingLanes();
    ReceivingLanes(const ReceivingLanes&) = delete;
    ReceivingLanes& operator=(const ReceivingLanes&) = delete;

    // Before the first wait().
    void add(Channel channel);
    // Until each connection has said `sync` once more than at the last call. What went wrong.
    [[nodiscard]] std::optional<std::string> wait();

private:
    struct Lane {
        Lane(ReceivingLanes& all, Channel its);
        Channel channel;
        std::uint64_t sync_count = 0;
        vmm::Thread thread;  // last: joined before what it uses goes
    };

    // On a lane's thread.
    void serve(Lane& lane) noexcept;
    [[nodiscard]] std::optional<std::string> receive_all(Lane& lane);
    [[nodiscard]] bool is_waited_for(const Lane& lane);

    std::function<std::optional<std::string>(const Frame&)> store_;
    std::mutex mutex_;  // of all below, and of each sync_count
    std::condition_variable changed_;
    std::uint64_t wanted_sync_count_ = 0;
    std::optional<std::string> failure_;
    std::vector<std::unique_ptr<Lane>> lanes_;  // last
};

}  // namespace shoal::migration
