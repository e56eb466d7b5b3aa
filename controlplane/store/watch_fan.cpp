// A seat for each watcher. Who is told may leave, and may make others leave.
#include "controlplane/store/watch_fan.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "controlplane/store/limits.h"

namespace shoal::store {
namespace {

std::size_t bytes_of(const Event& event) {
    return sizeof event + event.entry.key.size() + event.entry.value.size();
}

template <typename Map>
std::vector<typename Map::key_type> keys_of(const Map& map) {
    std::vector<typename Map::key_type> keys;
    keys.reserve(map.size());
    for (const auto& [key, value] : map) {
        keys.push_back(key);
    }
    return keys;
}

}  // namespace

class WatchFan::Handle final : public Watch {
public:
    Handle(WatchFan& fan, Id id) : fan_{fan.self_}, id_{id} {}
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() override {
        if (const auto fan = fan_.lock()) {
            (*fan)->leave(id_);
        }
    }

private:
    std::weak_ptr<WatchFan*> fan_;
    Id id_;
};

Result<std::unique_ptr<Watch>> WatchFan::watch(std::string prefix, Revision from,
                                               Watcher& watcher) {
    if (auto error = refuse_watch(prefix, from, 0)) {
        return std::unexpected{std::move(*error)};
    }
    if (watch_ && from < oldest_) {
        return store_.watch(std::move(prefix), from, watcher);
    }
    if (!watch_) {
        auto watch = store_.watch("/", from, *this);
        if (!watch) {
            return watch;
        }
        watch_ = std::move(*watch);
        oldest_ = from;
    }
    const Id id = ++last_id_;
    seats_.emplace(id, Seat{std::move(prefix), from, watcher});
    loop_.post([weak = std::weak_ptr{self_}, id] {
        if (const auto self = weak.lock()) {
            (*self)->catch_up(id);
        }
    });
    return std::make_unique<Handle>(*this, id);
}

void WatchFan::leave(Id id) {
    if (seats_.erase(id) != 0 && seats_.empty()) {
        close();
    }
}

void WatchFan::close() {
    watch_.reset();
    kept_.clear();
    kept_bytes_ = 0;
}

void WatchFan::on_changes(std::span<const Event> events) {
    keep(events);
    for (const Id id : keys_of(seats_)) {
        const auto seat = seats_.find(id);
        if (seat != seats_.end() && seat->second.has_caught_up) {
            tell(seat->second, events);
        }
    }
}

void WatchFan::keep(std::span<const Event> events) {
    for (const Event& event : events) {
        kept_.push_back(event);
        kept_bytes_ += bytes_of(event);
    }
    while (kept_bytes_ > max_kept_bytes) {
        oldest_ = kept_.front().entry.mod_revision + 1;
        kept_bytes_ -= bytes_of(kept_.front());
        kept_.pop_front();
    }
}

// With what had been seen before it came.
void WatchFan::catch_up(Id id) {
    const auto seat = seats_.find(id);
    if (seat == seats_.end()) {
        return;
    }
    if (seat->second.next < oldest_) {  // forgotten since it came
        Watcher& watcher = seat->second.watcher;
        const Revision forgotten = oldest_ - 1;
        leave(id);
        return watcher.on_compacted(forgotten);
    }
    const auto begin = std::ranges::lower_bound(
        kept_, seat->second.next, {}, [](const Event& event) { return event.entry.mod_revision; });
    const std::vector<Event> missed{begin, kept_.end()};
    seat->second.has_caught_up = true;
    tell(seat->second, missed);
}

void WatchFan::tell(Seat& seat, std::span<const Event> events) {
    std::vector<Event> seen;
    for (const Event& event : events) {
        if (event.entry.mod_revision >= seat.next && event.entry.key.starts_with(seat.prefix)) {
            seen.push_back(event);
        }
    }
    if (!seen.empty()) {
        seat.next = seen.back().entry.mod_revision + 1;
        seat.watcher.on_changes(seen);
    }
}

void WatchFan::on_compacted(Revision compacted) {
    close();
    for (const Id id : keys_of(seats_)) {
        if (const auto seat = seats_.extract(id)) {
            seat.mapped().watcher.on_compacted(compacted);
        }
    }
}

void WatchFan::on_reconnected() {
    for (const Id id : keys_of(seats_)) {
        if (const auto seat = seats_.find(id); seat != seats_.end()) {
            seat->second.watcher.on_reconnected();
        }
    }
}

}  // namespace shoal::store
