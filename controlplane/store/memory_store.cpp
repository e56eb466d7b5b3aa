// Applies at once and answers through the loop, so that no handler runs inside its own call.
#include "controlplane/store/memory_store.h"

#include <algorithm>
#include <utility>

namespace shoal::store {

class MemoryStore::MemoryWatch final : public Watch {
public:
    MemoryWatch(MemoryStore& store, std::string prefix, Revision from, Watcher& watcher)
        : prefix_{std::move(prefix)},
          next_{from},
          watcher_{watcher},
          id_{++store.last_watch_},
          store_{store.self_} {
        store.watches_.emplace(id_, this);
    }
    MemoryWatch(const MemoryWatch&) = delete;
    MemoryWatch& operator=(const MemoryWatch&) = delete;
    ~MemoryWatch() override {
        if (const auto store = store_.lock()) {
            (*store)->watches_.erase(id_);
        }
    }

private:
    friend MemoryStore;

    std::string prefix_;
    Revision next_;
    Watcher& watcher_;
    std::uint64_t id_;
    std::weak_ptr<MemoryStore*> store_;
};

MemoryStore::MemoryStore(EventLoop& loop)
    : loop_{loop}, clock_{loop, [this](LeaseId lease) { expire(lease); }} {}

template <typename T>
void MemoryStore::answer(Handler<T> handler, Result<T> result) {
    loop_.post([weak = std::weak_ptr{self_}, handler = std::move(handler),
                result = std::move(result)]() mutable {
        if (weak.lock()) {
            handler(std::move(result));
        }
    });
}

const Entry* MemoryStore::find(const std::string& key, Revision at) const {
    const auto found = keys_.find(key);
    if (found == keys_.end()) {
        return nullptr;
    }
    const auto newer = std::ranges::upper_bound(
        found->second, at, {}, [](const Event& event) { return event.entry.mod_revision; });
    if (newer == found->second.begin() || std::prev(newer)->kind == Event::Kind::deleted) {
        return nullptr;
    }
    return &std::prev(newer)->entry;
}

void MemoryStore::get(std::string key, Handler<Lookup> handler) {
    if (auto error = refuse_key(key)) {
        return answer<Lookup>(std::move(handler), std::unexpected{std::move(*error)});
    }
    Lookup lookup{{}, revision_};
    if (const Entry* entry = find(key, revision_)) {
        lookup.entry = *entry;
    }
    answer<Lookup>(std::move(handler), std::move(lookup));
}

void MemoryStore::list(ListRequest request, Handler<Page> handler) {
    answer<Page>(std::move(handler), read_page(request));
}

Result<Page> MemoryStore::read_page(const ListRequest& request) const {
    if (auto error = refuse(request)) {
        return std::unexpected{std::move(*error)};
    }
    const Revision at = request.revision == 0 ? revision_ : request.revision;
    if (at > revision_) {
        return std::unexpected{future_error(at, revision_)};
    }
    if (at < compacted_) {
        return std::unexpected{compacted_error(at, compacted_)};
    }
    Page page{{}, at, false};
    std::size_t size_bytes = 0;
    for (auto key = keys_.lower_bound(begin_of_page(request));
         key != keys_.end() && key->first.starts_with(request.prefix); ++key) {
        const Entry* entry = find(key->first, at);
        if (entry == nullptr) {
            continue;
        }
        if (page.entries.size() == page_keys(request) || size_bytes > max_page_bytes) {
            page.has_more = true;
            break;
        }
        size_bytes += entry->value.size();
        page.entries.push_back(*entry);
    }
    return page;
}

void MemoryStore::commit(Transaction transaction, Handler<Revision> handler) {
    answer<Revision>(std::move(handler), apply(transaction));
}

std::optional<Error> MemoryStore::objection(const Transaction& transaction) const {
    if (auto error = refuse(transaction)) {
        return error;
    }
    for (const Condition& condition : transaction.conditions) {
        const Entry* entry = find(condition.key, revision_);
        if ((entry == nullptr ? 0 : entry->mod_revision) != condition.mod_revision) {
            return Error{Failure::conflict, condition.key + " has changed"};
        }
    }
    for (const Operation& operation : transaction.operations) {
        const auto* put = std::get_if<Put>(&operation);
        if (put != nullptr && put->lease != 0 && !leases_.contains(put->lease)) {
            return Error{Failure::lease_gone, "there is no such lease"};
        }
    }
    return std::nullopt;
}

Result<Revision> MemoryStore::apply(const Transaction& transaction) {
    if (auto error = objection(transaction)) {
        return std::unexpected{std::move(*error)};
    }
    const Revision next = revision_ + 1;
    for (const Operation& operation : transaction.operations) {
        const Entry* before = find(key_of(operation), revision_);
        if (const auto* put = std::get_if<Put>(&operation)) {
            const Revision created = before != nullptr ? before->create_revision : next;
            change({Event::Kind::put, {put->key, put->value, created, next, put->lease}});
        } else if (before != nullptr) {
            change({Event::Kind::deleted, {key_of(operation), {}, 0, next, 0}});
        }
    }
    if (!changes_.empty() && changes_.back().entry.mod_revision == next) {
        revision_ = next;
        publish_later();
    }
    return revision_;
}

void MemoryStore::change(Event event) {
    if (const Entry* before = find(event.entry.key, revision_); before && before->lease != 0) {
        leases_[before->lease].erase(before->key);
    }
    if (event.entry.lease != 0) {
        leases_[event.entry.lease].insert(event.entry.key);
    }
    keys_[event.entry.key].push_back(event);
    changes_.push_back(std::move(event));
}

Result<std::unique_ptr<Watch>> MemoryStore::watch(std::string prefix, Revision from,
                                                  Watcher& watcher) {
    if (auto error = refuse_watch(prefix, from, watches_.size())) {
        return std::unexpected{std::move(*error)};
    }
    auto watch = std::make_unique<MemoryWatch>(*this, std::move(prefix), from, watcher);
    publish_later();
    return watch;
}

void MemoryStore::grant(std::chrono::seconds ttl, Handler<LeaseId> handler) {
    if (auto error = refuse_lease(ttl)) {
        return answer<LeaseId>(std::move(handler), std::unexpected{std::move(*error)});
    }
    if (leases_.size() >= max_leases) {
        return answer<LeaseId>(
            std::move(handler),
            std::unexpected{Error{Failure::too_large,
                                  "there are " + std::to_string(max_leases) + " leases already"}});
    }
    leases_.try_emplace(++last_lease_);
    clock_.add(last_lease_, ttl);
    answer<LeaseId>(std::move(handler), last_lease_);
}

void MemoryStore::keep_alive(LeaseId lease, Handler<LeaseId> handler) {
    if (!clock_.renew(lease)) {
        return answer<LeaseId>(
            std::move(handler),
            std::unexpected{Error{Failure::lease_gone, "there is no such lease"}});
    }
    answer<LeaseId>(std::move(handler), lease);
}

void MemoryStore::revoke(LeaseId lease, Handler<LeaseId> handler) {
    if (!leases_.contains(lease)) {
        return answer<LeaseId>(
            std::move(handler),
            std::unexpected{Error{Failure::lease_gone, "there is no such lease"}});
    }
    clock_.remove(lease);
    expire(lease);
    answer<LeaseId>(std::move(handler), lease);
}

void MemoryStore::expire(LeaseId lease) {
    const auto keys = leases_[lease];
    const Revision next = revision_ + 1;
    for (const std::string& key : keys) {
        change({Event::Kind::deleted, {key, {}, 0, next, 0}});
    }
    leases_.erase(lease);
    if (!keys.empty()) {
        revision_ = next;
        publish_later();
    }
}

void MemoryStore::compact(Revision revision, Handler<Revision> handler) {
    answer<Revision>(std::move(handler), forget(revision));
}

Result<Revision> MemoryStore::forget(Revision revision) {
    if (revision > revision_) {
        return std::unexpected{future_error(revision, revision_)};
    }
    if (revision <= compacted_) {
        return std::unexpected{compacted_error(revision, compacted_)};
    }
    compacted_ = revision;
    while (!changes_.empty() && changes_.front().entry.mod_revision <= revision) {
        const auto key = keys_.find(changes_.front().entry.key);
        changes_.pop_front();
        if (key == keys_.end()) {
            continue;  // Deleted, and forgotten with its first change.
        }
        History& history = key->second;
        const auto newer = std::ranges::upper_bound(
            history, revision, {}, [](const Event& event) { return event.entry.mod_revision; });
        if (newer != history.begin()) {
            const bool is_deleted = std::prev(newer)->kind == Event::Kind::deleted;
            history.erase(history.begin(), is_deleted ? newer : std::prev(newer));
        }
        if (history.empty()) {
            keys_.erase(key);
        }
    }
    return revision;
}

void MemoryStore::publish_later() {
    if (std::exchange(will_publish_, true)) {
        return;
    }
    loop_.post([weak = std::weak_ptr{self_}] {
        if (!weak.expired()) {
            auto& self = **weak.lock();  // not held meanwhile
            self.publish();
        }
    });
}

void MemoryStore::publish() {
    will_publish_ = false;
    // A watcher may destroy any watch, and the store.
    std::vector<std::uint64_t> ids;
    for (const auto& [id, watch] : watches_) {
        ids.push_back(id);
    }
    const std::weak_ptr alive{self_};
    for (const std::uint64_t id : ids) {
        if (alive.expired()) {
            return;
        }
        if (const auto found = watches_.find(id); found != watches_.end()) {
            publish_to(*found->second);
        }
    }
}

void MemoryStore::publish_to(MemoryWatch& watch) {
    if (watch.next_ <= compacted_) {
        watches_.erase(watch.id_);
        watch.watcher_.on_compacted(compacted_);
        return;
    }
    std::vector<Event> events;
    const auto first = std::ranges::lower_bound(
        changes_, watch.next_, {}, [](const Event& event) { return event.entry.mod_revision; });
    std::copy_if(first, changes_.end(), std::back_inserter(events), [&watch](const Event& event) {
        return event.entry.key.starts_with(watch.prefix_);
    });
    watch.next_ = std::max(watch.next_, revision_ + 1);
    if (!events.empty()) {
        watch.watcher_.on_changes(events);
    }
}

}  // namespace shoal::store
