// SqliteStore: the store of one host, in one file.
//
// What was answered is on the disk: kill -9 loses nothing of it. A full disk is Failure::no_space,
// changes nothing, and heals when there is space. Leases start anew when the file is opened.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "controlplane/store/event_loop.h"
#include "controlplane/store/lease_clock.h"
#include "controlplane/store/sqlite_worker.h"
#include "controlplane/store/store.h"

namespace shoal::store {

class SqliteStore final : public Store, private SqliteFeed {
public:
    // Borrows the loop. Throws std::runtime_error with one sentence when the file is damaged, newer
    // than this program or open elsewhere.
    SqliteStore(EventLoop& loop, const SqliteOptions& options);
    SqliteStore(const SqliteStore&) = delete;
    SqliteStore& operator=(const SqliteStore&) = delete;
    ~SqliteStore() override = default;

    void get(std::string key, Handler<Lookup> handler) override;
    void list(ListRequest request, Handler<Page> handler) override;
    void commit(Transaction transaction, Handler<Revision> handler) override;
    [[nodiscard]] Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision from,
                                                       Watcher& watcher) override;
    void grant(std::chrono::seconds ttl, Handler<LeaseId> handler) override;
    void keep_alive(LeaseId lease, Handler<LeaseId> handler) override;
    void revoke(LeaseId lease, Handler<LeaseId> handler) override;
    void compact(Revision revision, Handler<Revision> handler) override;

    // Writes a copy, a file that this class can open, under `path`: all of it or nothing. Others
    // wait meanwhile.
    void backup(std::string path, Handler<Revision> handler);

private:
    class SqliteWatch;

    template <typename T>
    void answer(Handler<T> handler, Result<T> result);
    template <typename T>
    void submit(std::function<Result<T>(SqliteEngine&)> work, Handler<T> handler,
                SqliteWorker::Request::Place place = SqliteWorker::Request::Place::in_transaction);
    void expire(LeaseId lease);
    void deliver(WatchId watch, const std::vector<Event>& events);

    void on_changes(std::vector<WatchId> watches, Events events) override;
    void on_compacted(WatchId watch, Revision compacted) override;

    EventLoop& loop_;
    // What waits in the loop finds the store gone.
    std::shared_ptr<SqliteStore*> self_ = std::make_shared<SqliteStore*>(this);
    LeaseClock clock_;
    std::map<WatchId, SqliteWatch*> watches_;
    WatchId last_watch_ = 0;
    SqliteWorker worker_;  // last: its thread ends before what it calls does
};

}  // namespace shoal::store
