// Store: the control plane's desired state, in memory, in SQLite or in etcd.
//
// One thread, the event loop's, makes all calls and gets all answers. No handler runs inside the
// call it was given to; each runs once, except those that are pending when the store is destroyed,
// which never run. Reads see every change that was answered before they were asked for.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>

#include "controlplane/store/types.h"

namespace shoal::store {

// Told what a watch sees. May destroy the watch it hears of.
class Watcher {
public:
    virtual ~Watcher() = default;

    // In the order of revisions. The changes of one revision come together, each exactly once.
    virtual void on_changes(std::span<const Event> events) = 0;
    // The end of the watch: changes from its revision on are forgotten up to `compacted`. List
    // again, and watch from that list's revision + 1.
    virtual void on_compacted(Revision compacted) = 0;
    // The server was lost and is back. Nothing ought to be missing, but servers have had bugs
    // there (etcd#17610, #19251): who must know lists again.
    virtual void on_reconnected() {}
};

// A watch lasts as long as this object.
class Watch {
public:
    virtual ~Watch() = default;
};

class Store {
public:
    virtual ~Store() = default;

    virtual void get(std::string key, Handler<Lookup> handler) = 0;
    // Keys that begin with the prefix, all pages as of one revision.
    virtual void list(ListRequest request, Handler<Page> handler) = 0;
    // The revision that the operations made; the newest one if they changed nothing.
    virtual void commit(Transaction transaction, Handler<Revision> handler) = 0;
    // Every change of revision `from` (1 or more, also in the future) and later.
    [[nodiscard]] virtual Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision from,
                                                               Watcher& watcher) = 0;
    // Keys put with a lease are deleted, at one revision, some time after `ttl` without
    // keep_alive(). Not a clock: the time starts anew when the store restarts or changes leaders.
    virtual void grant(std::chrono::seconds ttl, Handler<LeaseId> handler) = 0;
    virtual void keep_alive(LeaseId lease, Handler<LeaseId> handler) = 0;
    // Deletes the lease's keys at once.
    virtual void revoke(LeaseId lease, Handler<LeaseId> handler) = 0;
    // Forgets what was changed again before or at `revision`.
    virtual void compact(Revision revision, Handler<Revision> handler) = 0;

    // Without conditions.
    void put(Put put, Handler<Revision> handler);
    void remove(std::string key, Handler<Revision> handler);
};

}  // namespace shoal::store
