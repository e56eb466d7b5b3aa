// FannedStore: a store, all watches of which are one (watch_fan.h). The many parts of a shoald that
// follow the store, and the clients of its API, cost etcd one connection and one copy of each
// change.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "controlplane/store/watch_fan.h"

namespace shoal::store {

class FannedStore final : public Store {
public:
    // Borrows the loop.
    FannedStore(EventLoop& loop, std::unique_ptr<Store> store)
        : store_{std::move(store)}, fan_{loop, *store_} {}

    void get(std::string key, Handler<Lookup> handler) override {
        store_->get(std::move(key), std::move(handler));
    }
    void list(ListRequest request, Handler<Page> handler) override {
        store_->list(std::move(request), std::move(handler));
    }
    void commit(Transaction transaction, Handler<Revision> handler) override {
        store_->commit(std::move(transaction), std::move(handler));
    }
    // As many as there are callers: only those of old revisions count against max_watches.
    [[nodiscard]] Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision from,
                                                       Watcher& watcher) override {
        return fan_.watch(std::move(prefix), from, watcher);
    }
    void grant(std::chrono::seconds ttl, Handler<LeaseId> handler) override {
        store_->grant(ttl, std::move(handler));
    }
    void keep_alive(LeaseId lease, Handler<LeaseId> handler) override {
        store_->keep_alive(lease, std::move(handler));
    }
    void revoke(LeaseId lease, Handler<LeaseId> handler) override {
        store_->revoke(lease, std::move(handler));
    }
    void compact(Revision revision, Handler<Revision> handler) override {
        store_->compact(revision, std::move(handler));
    }

private:
    std::unique_ptr<Store> store_;
    WatchFan fan_;
};

}  // namespace shoal::store
