// WatchFan: many watchers of one watch. With etcd each watch of a store is a connection of its own,
// and every store limits them (limits.h); clients of the API come by the thousand.
//
// The first watcher decides where the watch begins. Its newest changes are kept, for those that
// resume; who wants older ones gets a watch of its own. Without watchers there is no watch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "controlplane/store/event_loop.h"
#include "controlplane/store/store.h"

namespace shoal::store {

// What is kept for those that resume. Half of what may wait for one client of the API.
inline constexpr std::size_t max_kept_bytes = std::size_t{4} << 20;

class WatchFan final : private Watcher {
public:
    // Borrows both.
    WatchFan(EventLoop& loop, Store& store) : loop_{loop}, store_{store} {}
    WatchFan(const WatchFan&) = delete;
    WatchFan& operator=(const WatchFan&) = delete;
    ~WatchFan() override = default;

    // As Store::watch(), in whose words the watcher is told; watches may outlive the fan.
    [[nodiscard]] Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision from,
                                                       Watcher& watcher);

private:
    class Handle;
    using Id = std::uint64_t;
    struct Seat {
        std::string prefix;
        Revision next = 0;  // what it has not been told
        Watcher& watcher;
        bool has_caught_up = false;
    };

    void on_changes(std::span<const Event> events) override;
    void on_compacted(Revision compacted) override;
    void on_reconnected() override;
    void keep(std::span<const Event> events);
    void catch_up(Id id);
    static void tell(Seat& seat, std::span<const Event> events);
    void leave(Id id);
    void close();

    EventLoop& loop_;
    Store& store_;
    std::map<Id, Seat> seats_;
    Id last_id_ = 0;
    std::deque<Event> kept_;
    std::size_t kept_bytes_ = 0;
    Revision oldest_ = 0;  // all changes from here on are kept
    std::shared_ptr<WatchFan*> self_ = std::make_shared<WatchFan*>(this);
    std::unique_ptr<Watch> watch_;  // last: nothing is told after the rest has gone
};

}  // namespace shoal::store
