// MemoryStore: a store for simulated clusters and unit tests. Its clock is the loop's.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/store/event_loop.h"
#include "controlplane/store/lease_clock.h"
#include "controlplane/store/limits.h"
#include "controlplane/store/store.h"

namespace shoal::store {

class MemoryStore final : public Store {
public:
    explicit MemoryStore(EventLoop& loop);
    MemoryStore(const MemoryStore&) = delete;
    MemoryStore& operator=(const MemoryStore&) = delete;
    ~MemoryStore() override = default;

    void get(std::string key, Handler<Lookup> handler) override;
    void list(ListRequest request, Handler<Page> handler) override;
    void commit(Transaction transaction, Handler<Revision> handler) override;
    [[nodiscard]] Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision from,
                                                       Watcher& watcher) override;
    void grant(std::chrono::seconds ttl, Handler<LeaseId> handler) override;
    void keep_alive(LeaseId lease, Handler<LeaseId> handler) override;
    void revoke(LeaseId lease, Handler<LeaseId> handler) override;
    void compact(Revision revision, Handler<Revision> handler) override;

private:
    class MemoryWatch;
    // The changes of one key, oldest first.
    using History = std::vector<Event>;

    template <typename T>
    void answer(Handler<T> handler, Result<T> result);

    [[nodiscard]] const Entry* find(const std::string& key, Revision at) const;
    [[nodiscard]] Result<Page> read_page(const ListRequest& request) const;
    [[nodiscard]] Result<Revision> apply(const Transaction& transaction);
    [[nodiscard]] std::optional<Error> objection(const Transaction& transaction) const;
    void change(Event event);
    void expire(LeaseId lease);
    Result<Revision> forget(Revision revision);
    void publish_later();
    void publish();
    void publish_to(MemoryWatch& watch);

    EventLoop& loop_;
    Revision revision_ = 1;
    Revision compacted_ = 0;
    std::map<std::string, History, std::less<>> keys_;
    std::deque<Event> changes_;  // all since compacted_, in order
    std::map<LeaseId, std::set<std::string>> leases_;
    LeaseId last_lease_ = 0;
    LeaseClock clock_;
    std::map<std::uint64_t, MemoryWatch*> watches_;
    std::uint64_t last_watch_ = 0;
    bool will_publish_ = false;
    // What waits in the loop finds the store gone.
    std::shared_ptr<MemoryStore*> self_ = std::make_shared<MemoryStore*>(this);
};

}  // namespace shoal::store
