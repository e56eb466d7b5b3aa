// Group commit, and the feed of watches from the table of changes.
#include "controlplane/store/sqlite_worker.h"

#include <algorithm>

#include "controlplane/store/limits.h"

namespace shoal::store {

namespace {

// A transaction of so many requests is a few milliseconds of work.
constexpr std::size_t max_batch = 256;
constexpr std::size_t events_per_read = 1000;

Error error_of(const SqliteError& error) {
    switch (error.code()) {
        case SQLITE_FULL:
            return {Failure::no_space, error.what()};
        case SQLITE_MISUSE:
            return {Failure::invalid, error.what()};
        default:
            return {Failure::unavailable, error.what()};
    }
}

// A transaction that failed was rolled back: nothing of it is there.
void fail(std::span<SqliteWorker::Request> batch, const Error& error) {
    for (SqliteWorker::Request& request : batch) {
        request.finish(&error);
    }
}

}  // namespace

SqliteWorker::SqliteWorker(const SqliteOptions& options, SqliteFeed& feed)
    : engine_{options},
      feed_{feed},
      kept_revisions_{options.kept_revisions},
      leases_at_start_{engine_.leases()},
      thread_{[this](const std::stop_token& stop) { work(stop); }} {}

SqliteWorker::~SqliteWorker() = default;

bool SqliteWorker::submit(Request request) {
    const std::scoped_lock lock{mutex_};
    if (requests_.size() >= max_pending_requests) {
        return false;
    }
    requests_.push_back(std::move(request));
    wake_.notify_one();
    return true;
}

void SqliteWorker::add_watch(WatchId watch, Revision from) {
    const std::scoped_lock lock{mutex_};
    watches_.emplace(watch, from);
    has_new_watch_ = true;
    wake_.notify_one();
}

void SqliteWorker::remove_watch(WatchId watch) {
    const std::scoped_lock lock{mutex_};
    watches_.erase(watch);
}

void SqliteWorker::work(const std::stop_token& stop) {
    for (;;) {
        std::vector<Request> requests = wait(stop);
        if (stop.stop_requested()) {
            return;
        }
        run(requests);
        try {
            publish();
            compact_old();
        } catch (const SqliteError&) {
            engine_.rollback();  // Tried again after the next request.
        }
    }
}

std::vector<SqliteWorker::Request> SqliteWorker::wait(const std::stop_token& stop) {
    std::unique_lock lock{mutex_};
    wake_.wait(lock, stop, [this] { return !requests_.empty() || has_new_watch_; });
    const std::size_t count = std::min(requests_.size(), max_batch);
    const auto end = requests_.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<Request> batch{std::move_iterator{requests_.begin()}, std::move_iterator{end}};
    requests_.erase(requests_.begin(), end);
    return batch;
}

void SqliteWorker::run(std::span<Request> requests) {
    while (!requests.empty()) {
        const auto is_alone = [](const Request& request) {
            return request.place == Request::Place::alone;
        };
        const auto first_alone = std::ranges::find_if(requests, is_alone);
        auto count = static_cast<std::size_t>(first_alone - requests.begin());
        if (count > 0) {
            run_batch(requests.first(count));
        } else {
            count = 1;
            try {
                requests.front().run(engine_);
                requests.front().finish(nullptr);
            } catch (const SqliteError& error) {
                fail(requests.first(1), error_of(error));
            }
        }
        requests = requests.subspan(count);
    }
}

void SqliteWorker::run_batch(std::span<Request> batch) {
    try {
        engine_.begin();
        for (Request& request : batch) {
            request.run(engine_);
        }
        engine_.commit();
    } catch (const SqliteError& error) {
        engine_.rollback();
        if (batch.size() == 1) {
            fail(batch, error_of(error));
            return;
        }
        // What fits or only reads need not fail with the one that does not.
        for (std::size_t i = 0; i < batch.size(); ++i) {
            run_batch(batch.subspan(i, 1));
        }
        return;
    }
    for (Request& request : batch) {
        request.finish(nullptr);
    }
}

void SqliteWorker::publish() {
    for (Revision from = oldest_watched(); from <= engine_.revision(); from = oldest_watched()) {
        publish_from(from);
    }
}

// The oldest revision that a watch still needs. Ends those whose is forgotten.
Revision SqliteWorker::oldest_watched() {
    Revision oldest = engine_.revision() + 1;
    const std::scoped_lock lock{mutex_};
    has_new_watch_ = false;
    std::erase_if(watches_, [&](const auto& watch) {
        if (watch.second <= engine_.compacted()) {
            feed_.on_compacted(watch.first, engine_.compacted());
            return true;
        }
        oldest = std::min(oldest, watch.second);
        return false;
    });
    return oldest;
}

void SqliteWorker::publish_from(Revision from) {
    std::vector<Event> events = engine_.changes(from, events_per_read);
    const bool is_all = events.size() < events_per_read;
    const Revision next = (is_all ? engine_.revision() : events.back().entry.mod_revision) + 1;
    std::vector<WatchId> behind;
    {
        const std::scoped_lock lock{mutex_};
        for (auto& [id, watched] : watches_) {
            // One that was added meanwhile and needs older ones has its turn later.
            if (from <= watched && watched < next) {
                behind.push_back(id);
                watched = next;
            }
        }
    }
    feed_.on_changes(std::move(behind),
                     std::make_shared<const std::vector<Event>>(std::move(events)));
}

void SqliteWorker::compact_old() {
    const Revision oldest = engine_.revision() - kept_revisions_;
    // In larger steps, since each is a transaction of its own.
    if (oldest - engine_.compacted() <= kept_revisions_ / 10 + 1) {
        return;
    }
    engine_.begin();
    static_cast<void>(engine_.compact(oldest));
    engine_.commit();
}

}  // namespace shoal::store
