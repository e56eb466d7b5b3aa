// A watcher may destroy the watch it is called by: after each call, look whether it is still there.
#include "controlplane/store/etcd_watch.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "controlplane/store/etcd_request.h"

namespace shoal::store {

EtcdWatch::EtcdWatch(EtcdClient& client, std::string prefix, Revision from, Watcher& watcher)
    : client_{client}, prefix_{std::move(prefix)}, next_{from}, watcher_{watcher} {
    connect();
}

EtcdWatch::~EtcdWatch() {
    if (connection_) {
        connection_->close();
    }
}

void EtcdWatch::connect() {
    lines_ = LineSplitter{etcd::max_answer_bytes};
    events_.clear();
    generation_ = client_.generation();
    connection_ = client_.make_connection();
    connection_->stream("/v3/watch", etcd::watch_request(prefix_, next_),
                        client_.options().attempt_timeout,
                        [weak = std::weak_ptr{self_}](std::string_view bytes) {
                            if (!weak.expired()) {
                                auto& self = **weak.lock();  // not held meanwhile
                                self.on_bytes(bytes);
                            }
                        });
}

void EtcdWatch::reconnect_later() {
    if (is_over_ || std::exchange(will_connect_, true)) {
        return;
    }
    connection_->close();
    client_.loop().call_after(client_.backoff(failures_++), [weak = std::weak_ptr{self_}] {
        if (!weak.expired()) {
            EtcdWatch& watch = **weak.lock();
            watch.will_connect_ = false;
            watch.connect();
        }
    });
}

void EtcdWatch::on_bytes(std::string_view bytes) {
    const std::weak_ptr alive{self_};
    const bool is_sound =
        !bytes.empty() && lines_.feed(bytes, [this, &alive](std::string_view line) {
            const bool goes_on = on_message(line);
            return !alive.expired() && goes_on;
        });
    if (alive.expired() || is_sound || is_over_) {
        return;
    }
    // Before leave_member(), which tells every watch.
    reconnect_later();
    client_.leave_member(generation_);
}

// False: the stream is of no more use.
bool EtcdWatch::on_message(std::string_view line) {
    if (line.empty()) {
        return true;
    }
    auto message = etcd::decode_watch(line);
    if (!message) {
        return false;
    }
    if (message->is_canceled) {
        if (message->compacted != 0) {
            end(message->compacted);
        }
        return false;
    }
    failures_ = 0;
    const std::weak_ptr alive{self_};
    if (message->is_created && std::exchange(was_connected_, true)) {
        watcher_.on_reconnected();
    }
    if (!alive.expired()) {
        take(std::move(*message));
    }
    return true;
}

void EtcdWatch::take(etcd::WatchMessage message) {
    if (message.events.empty()) {
        // A notice of progress: everything up to it was sent.
        if (!message.is_created) {
            next_ = std::max(next_, message.revision + 1);
        }
        return;
    }
    // After a reconnect the server may begin earlier than it was asked to.
    std::ranges::copy_if(std::make_move_iterator(message.events.begin()),
                         std::make_move_iterator(message.events.end()), std::back_inserter(events_),
                         [this](const Event& event) { return event.entry.mod_revision >= next_; });
    if (events_.empty()) {
        return;
    }
    const Revision last = events_.back().entry.mod_revision;
    const auto incomplete = std::ranges::find_if(
        events_, [last](const Event& event) { return event.entry.mod_revision == last; });
    deliver(message.is_fragment ? static_cast<std::size_t>(incomplete - events_.begin())
                                : events_.size());
}

void EtcdWatch::deliver(std::size_t count) {
    if (count == 0) {
        return;
    }
    const auto end = events_.begin() + static_cast<std::ptrdiff_t>(count);
    const std::vector<Event> whole{std::make_move_iterator(events_.begin()),
                                   std::make_move_iterator(end)};
    events_.erase(events_.begin(), end);
    next_ = whole.back().entry.mod_revision + 1;
    watcher_.on_changes(whole);
}

void EtcdWatch::end(Revision compacted) {
    is_over_ = true;
    connection_->close();
    watcher_.on_compacted(compacted);
}

}  // namespace shoal::store
