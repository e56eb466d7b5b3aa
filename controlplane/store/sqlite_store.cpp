// The loop's side: requests go to the worker, answers and changes come back by post().
#include "controlplane/store/sqlite_store.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "controlplane/store/limits.h"

namespace shoal::store {

namespace {

Error lease_gone() {
    return {Failure::lease_gone, "there is no such lease"};
}

}  // namespace

class SqliteStore::SqliteWatch final : public Watch {
public:
    SqliteWatch(SqliteStore& store, std::string prefix, Revision from, Watcher& watcher)
        : prefix_{std::move(prefix)},
          next_{from},
          watcher_{watcher},
          id_{++store.last_watch_},
          store_{store.self_} {
        store.watches_.emplace(id_, this);
        store.worker_.add_watch(id_, from);
    }
    SqliteWatch(const SqliteWatch&) = delete;
    SqliteWatch& operator=(const SqliteWatch&) = delete;
    ~SqliteWatch() override {
        if (const auto store = store_.lock()) {
            (*store)->watches_.erase(id_);
            (*store)->worker_.remove_watch(id_);
        }
    }

private:
    friend SqliteStore;

    std::string prefix_;
    Revision next_;
    Watcher& watcher_;
    WatchId id_;
    std::weak_ptr<SqliteStore*> store_;
};

SqliteStore::SqliteStore(EventLoop& loop, const SqliteOptions& options)
    : loop_{loop}, clock_{loop, [this](LeaseId lease) { expire(lease); }}, worker_{options, *this} {
    for (const auto& [lease, ttl] : worker_.leases_at_start()) {
        clock_.add(lease, ttl);
    }
}

template <typename T>
void SqliteStore::answer(Handler<T> handler, Result<T> result) {
    loop_.post([weak = std::weak_ptr{self_}, handler = std::move(handler),
                result = std::move(result)]() mutable {
        if (weak.lock()) {
            handler(std::move(result));
        }
    });
}

template <typename T>
void SqliteStore::submit(std::function<Result<T>(SqliteEngine&)> work, Handler<T> handler,
                         SqliteWorker::Request::Place place) {
    struct Call {
        Handler<T> handler;
        Result<T> result;
    };
    const auto call = std::make_shared<Call>(Call{std::move(handler), {}});
    SqliteWorker::Request request;
    request.run = [call, work = std::move(work)](SqliteEngine& engine) {
        call->result = work(engine);
    };
    request.finish = [this, call](const Error* error) {
        answer<T>(std::move(call->handler),
                  error == nullptr ? std::move(call->result) : std::unexpected{*error});
    };
    request.place = place;
    if (!worker_.submit(std::move(request))) {
        answer<T>(std::move(call->handler),
                  std::unexpected{
                      Error{Failure::unavailable, std::to_string(max_pending_requests) +
                                                      " requests wait for the disk already"}});
    }
}

void SqliteStore::get(std::string key, Handler<Lookup> handler) {
    if (auto error = refuse_key(key)) {
        return answer<Lookup>(std::move(handler), std::unexpected{std::move(*error)});
    }
    submit<Lookup>([key = std::move(key)](SqliteEngine& engine) { return engine.get(key); },
                   std::move(handler));
}

void SqliteStore::list(ListRequest request, Handler<Page> handler) {
    if (auto error = refuse(request)) {
        return answer<Page>(std::move(handler), std::unexpected{std::move(*error)});
    }
    submit<Page>(
        [request = std::move(request)](SqliteEngine& engine) { return engine.list(request); },
        std::move(handler));
}

void SqliteStore::commit(Transaction transaction, Handler<Revision> handler) {
    if (auto error = refuse(transaction)) {
        return answer<Revision>(std::move(handler), std::unexpected{std::move(*error)});
    }
    submit<Revision>([transaction = std::move(transaction)](
                         SqliteEngine& engine) { return engine.apply(transaction); },
                     std::move(handler));
}

Result<std::unique_ptr<Watch>> SqliteStore::watch(std::string prefix, Revision from,
                                                  Watcher& watcher) {
    if (auto error = refuse_watch(prefix, from, watches_.size())) {
        return std::unexpected{std::move(*error)};
    }
    return std::make_unique<SqliteWatch>(*this, std::move(prefix), from, watcher);
}

void SqliteStore::grant(std::chrono::seconds ttl, Handler<LeaseId> handler) {
    if (auto error = refuse_lease(ttl)) {
        return answer<LeaseId>(std::move(handler), std::unexpected{std::move(*error)});
    }
    if (clock_.count() >= max_leases) {
        return answer<LeaseId>(
            std::move(handler),
            std::unexpected{Error{Failure::too_large,
                                  "there are " + std::to_string(max_leases) + " leases already"}});
    }
    submit<LeaseId>([ttl](SqliteEngine& engine) { return engine.grant(ttl); },
                    [this, ttl, handler = std::move(handler)](Result<LeaseId> lease) mutable {
                        if (lease) {
                            clock_.add(*lease, ttl);
                        }
                        handler(std::move(lease));
                    });
}

void SqliteStore::keep_alive(LeaseId lease, Handler<LeaseId> handler) {
    if (!clock_.renew(lease)) {
        return answer<LeaseId>(std::move(handler), std::unexpected{lease_gone()});
    }
    answer<LeaseId>(std::move(handler), lease);
}

void SqliteStore::revoke(LeaseId lease, Handler<LeaseId> handler) {
    submit<LeaseId>([lease](SqliteEngine& engine) { return engine.revoke(lease); },
                    [this, handler = std::move(handler)](Result<LeaseId> revoked) mutable {
                        if (revoked) {
                            clock_.remove(*revoked);
                        }
                        handler(std::move(revoked));
                    });
}

void SqliteStore::expire(LeaseId lease) {
    submit<LeaseId>([lease](SqliteEngine& engine) { return engine.revoke(lease); },
                    [this, lease](const Result<LeaseId>& revoked) {
                        // The disk is full or busy: it stays expired, and goes later.
                        if (!revoked && revoked.error().failure != Failure::lease_gone) {
                            loop_.call_after(std::chrono::seconds{1},
                                             [weak = std::weak_ptr{self_}, lease] {
                                                 if (const auto self = weak.lock()) {
                                                     (*self)->expire(lease);
                                                 }
                                             });
                        }
                    });
}

void SqliteStore::compact(Revision revision, Handler<Revision> handler) {
    submit<Revision>([revision](SqliteEngine& engine) { return engine.compact(revision); },
                     std::move(handler));
}

void SqliteStore::backup(std::string path, Handler<Revision> handler) {
    submit<Revision>(
        [path = std::move(path)](SqliteEngine& engine) -> Result<Revision> {
            try {
                return engine.backup(path);
            } catch (const std::system_error& error) {
                return std::unexpected{Error{Failure::unavailable, error.what()}};
            }
        },
        std::move(handler), SqliteWorker::Request::Place::alone);
}

void SqliteStore::on_changes(std::vector<WatchId> watches, Events events) {
    loop_.post(
        [weak = std::weak_ptr{self_}, watches = std::move(watches), events = std::move(events)] {
            for (const WatchId watch : watches) {
                if (const auto self = weak.lock()) {
                    (*self)->deliver(watch, *events);
                }
            }
        });
}

void SqliteStore::deliver(WatchId watch, const std::vector<Event>& events) {
    const auto found = watches_.find(watch);
    if (found == watches_.end()) {
        return;
    }
    SqliteWatch& target = *found->second;
    std::vector<Event> seen;
    std::ranges::copy_if(events, std::back_inserter(seen), [&target](const Event& event) {
        return event.entry.mod_revision >= target.next_ &&
               event.entry.key.starts_with(target.prefix_);
    });
    if (!events.empty()) {
        target.next_ = std::max(target.next_, events.back().entry.mod_revision + 1);
    }
    if (!seen.empty()) {
        target.watcher_.on_changes(seen);
    }
}

void SqliteStore::on_compacted(WatchId watch, Revision compacted) {
    loop_.post([weak = std::weak_ptr{self_}, watch, compacted] {
        const auto self = weak.lock();
        if (!self) {
            return;
        }
        if (const auto found = (*self)->watches_.find(watch); found != (*self)->watches_.end()) {
            Watcher& watcher = found->second->watcher_;
            (*self)->watches_.erase(found);
            watcher.on_compacted(compacted);
        }
    });
}

}  // namespace shoal::store
