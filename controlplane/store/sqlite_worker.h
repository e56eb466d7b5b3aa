// SqliteWorker: the one thread that touches the SQLite file. Requests that arrive while it waits
// for the disk are committed together, with one wait for all of them.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/store/sqlite_engine.h"

namespace shoal::store {

using WatchId = std::uint64_t;
using Events = std::shared_ptr<const std::vector<Event>>;

// Told of watches, on the worker's thread.
class SqliteFeed {
public:
    virtual ~SqliteFeed() = default;
    // Whole revisions, in order. May hold some that one of the watches has already got.
    virtual void on_changes(std::vector<WatchId> watches, Events events) = 0;
    virtual void on_compacted(WatchId watch, Revision compacted) = 0;
};

class SqliteWorker {
public:
    struct Request {
        enum class Place { in_transaction, alone };

        // May run again, after a rollback. Throws SqliteError.
        std::function<void(SqliteEngine&)> run;
        // Called once, on the worker's thread: null when what `run` did is on the disk.
        std::function<void(const Error*)> finish;
        Place place = Place::in_transaction;
    };

    // Borrows the feed.
    SqliteWorker(const SqliteOptions& options, SqliteFeed& feed);
    SqliteWorker(const SqliteWorker&) = delete;
    SqliteWorker& operator=(const SqliteWorker&) = delete;
    // Finishes what is being written; what still waits is dropped.
    ~SqliteWorker();

    // False: max_pending_requests wait already.
    [[nodiscard]] bool submit(Request request);
    void add_watch(WatchId watch, Revision from);
    void remove_watch(WatchId watch);

    [[nodiscard]] std::vector<std::pair<LeaseId, std::chrono::seconds>> leases_at_start() const {
        return leases_at_start_;
    }

private:
    void work(const std::stop_token& stop);
    [[nodiscard]] std::vector<Request> wait(const std::stop_token& stop);
    void run(std::span<Request> requests);
    void run_batch(std::span<Request> batch);
    void publish();
    [[nodiscard]] Revision oldest_watched();
    void publish_from(Revision from);
    void compact_old();

    SqliteEngine engine_;
    SqliteFeed& feed_;
    Revision kept_revisions_;
    std::vector<std::pair<LeaseId, std::chrono::seconds>> leases_at_start_;

    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::deque<Request> requests_;         // under mutex_
    std::map<WatchId, Revision> watches_;  // under mutex_: the next revision of each
    bool has_new_watch_ = false;           // under mutex_
    std::jthread thread_;
};

}  // namespace shoal::store
