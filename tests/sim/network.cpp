// A request travels, acts, and its answer travels back; after a second its sender gives up. While
// the server is away it asks again as store/etcd_client.h does, and gives up after four.
#include "tests/sim/network.h"

#include <algorithm>
#include <utility>

namespace shoal::sim {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 1s;
constexpr auto patience_with_server = 4s;
// Until each member has been asked again: two patiences of the store's client.
constexpr auto longest_return = 500ms;
constexpr std::size_t recent_events = 200'000;

}  // namespace

class LinkWatch final : public store::Watch {
public:
    LinkWatch(Link& link, std::string prefix, store::Revision from, store::Watcher& watcher)
        : link_{link.self_},
          server_{link.server_},
          id_{++link.server_.last_watch_},
          prefix_{std::move(prefix)},
          watcher_{watcher} {
        link.watches_.emplace(id_, this);
        server_.subscribe(*this, from);
    }
    LinkWatch(const LinkWatch&) = delete;
    LinkWatch& operator=(const LinkWatch&) = delete;
    ~LinkWatch() override {
        server_.watches_[prefix_].erase(id_);
        if (const auto link = link_.lock()) {
            (*link)->watches_.erase(id_);
        }
    }

    [[nodiscard]] std::uint64_t id() const { return id_; }
    [[nodiscard]] const std::string& prefix() const { return prefix_; }
    void add(const store::Event& event) {
        events_.push_back(event);
        deliver_later();
    }
    void compacted() {
        is_compacted_ = true;
        deliver_later();
    }
    void reconnected() {
        is_reconnected_ = true;
        deliver_later();
    }

private:
    void deliver_later() {
        const auto link = link_.lock();
        if (!link || std::exchange(will_deliver_, true)) {
            return;
        }
        (*link)->loop_.call_after((*link)->delay(), [weak = std::weak_ptr{self_}] {
            if (const auto self = weak.lock()) {
                (*self)->deliver();
            }
        });
    }
    void deliver() {
        will_deliver_ = false;
        const auto link = link_.lock();
        if (!link || (*link)->state_ != Link::State::up) {
            return;  // Delivered after it is up again.
        }
        const std::weak_ptr alive{self_};
        if (std::exchange(is_compacted_, false)) {
            return watcher_.on_compacted(0);
        }
        const auto events = std::exchange(events_, {});
        if (!events.empty()) {
            watcher_.on_changes(events);
        }
        if (!alive.expired() && std::exchange(is_reconnected_, false)) {
            watcher_.on_reconnected();
        }
    }

    std::weak_ptr<Link*> link_;
    Server& server_;
    std::uint64_t id_;
    std::string prefix_;
    store::Watcher& watcher_;
    std::vector<store::Event> events_;
    bool will_deliver_ = false;
    bool is_compacted_ = false;
    bool is_reconnected_ = false;
    std::shared_ptr<LinkWatch*> self_ = std::make_shared<LinkWatch*>(this);
};

Server::Server(Timeline& timeline, Dice& dice)
    : timeline_{timeline}, dice_{dice}, loop_{timeline}, store_{loop_} {
    watch_ = std::move(*store_.watch("/", 1, *this));
    compact_later();
}

void Server::compact_later() {
    loop_.call_after(1s, [this] {
        if (!recent_.empty()) {
            store_.compact(recent_.back().entry.mod_revision, [](const auto&) {});
        }
        compact_later();
    });
}

void Server::on_compacted(store::Revision compacted) {
    watch_ = std::move(*store_.watch("/", compacted + 1, *this));
}

void Server::on_changes(std::span<const store::Event> events) {
    for (const store::Event& event : events) {
        on_event(event);
        recent_.push_back(event);
        const std::string& key = event.entry.key;
        for (std::size_t slash = 0; slash != std::string::npos; slash = key.find('/', slash + 1)) {
            const auto found = watches_.find(key.substr(0, slash + 1));
            if (found != watches_.end()) {
                for (const auto& [id, watch] : found->second) {
                    watch->add(event);
                }
            }
        }
    }
    while (recent_.size() > recent_events) {
        forgotten_ = recent_.front().entry.mod_revision;
        recent_.pop_front();
    }
}

void Server::subscribe(LinkWatch& watch, store::Revision from) {
    watches_[watch.prefix()].emplace(watch.id(), &watch);
    if (from <= forgotten_) {
        return watch.compacted();
    }
    auto event = std::ranges::lower_bound(
        recent_, from, {}, [](const store::Event& one) { return one.entry.mod_revision; });
    for (; event != recent_.end(); ++event) {
        if (event->entry.key.starts_with(watch.prefix())) {
            watch.add(*event);
        }
    }
}

void Server::go_away(Time until) {
    away_since_ = timeline_.now();
    away_until_ = until;
    timeline_.at(until, [this] {
        for (const auto& [prefix, watches] : watches_) {
            for (const auto& [id, watch] : watches) {
                watch->reconnected();
            }
        }
    });
}

void Link::set(State state) {
    const bool is_back = state_ != State::up && state == State::up;
    state_ = state;
    if (is_back) {
        for (const auto& [id, watch] : watches_) {
            watch->reconnected();
        }
    }
}

Time Link::delay() {
    Dice& dice = server_.dice();
    const Time usual = dice.one_in(100) ? dice.between(5ms, 100ms) : dice.between(200us, 2ms);
    return server_.slowness == Time{} ? usual : usual + dice.between(Time{}, server_.slowness);
}

template <typename T>
Time Link::call(store::Handler<T> handler, store::Failure if_lost, Act<T> act) {
    // Whoever comes first, the answer or the end of patience.
    auto waiting = std::make_shared<store::Handler<T>>(std::move(handler));
    const auto answer = [waiting](store::Result<T> result) {
        if (*waiting) {
            auto once = std::exchange(*waiting, nullptr);
            once(std::move(result));
        }
    };
    give_up_later(loop_.now(), [answer, if_lost] {
        answer(std::unexpected{store::Error{if_lost, "no answer came"}});
    });
    const Time sent = server_.timeline().now();
    if (state_ == State::down) {
        return sent;
    }
    auto arrive = [weak = std::weak_ptr{self_}, answer, act = std::move(act)]() mutable {
        // It is on its way, whatever became of its sender.
        act([weak, answer](store::Result<T> result) {
            const auto self = weak.lock();
            if (self && (*self)->state_ == State::up) {
                (*self)->loop_.call_after(
                    (*self)->delay(),
                    [answer, result = std::move(result)]() mutable { answer(std::move(result)); });
            }
        });
    };
    const Time arrival = sent + delay();
    server_.timeline().at(arrival, [weak = std::weak_ptr{self_}, &server = server_, sent,
                                    arrive = std::move(arrive)]() mutable {
        if (server.away_until_ <= server.timeline().now()) {
            return arrive();
        }
        if (sent < server.away_since_ && server.dice().one_in(2)) {
            return server.timeline().at(server.away_until_, std::move(arrive));
        }
        // Who has died meanwhile does not ask again.
        const Time again = server.away_until_ + server.dice().between({}, longest_return);
        server.timeline().at(again, [weak, arrive = std::move(arrive)]() mutable {
            if (!weak.expired()) {
                arrive();
            }
        });
    });
    return arrival;
}

void Link::give_up_later(Time sent, store::EventLoop::Task give_up) {
    loop_.call_after(patience, [this, sent, give_up = std::move(give_up)]() mutable {
        const bool is_away = server_.timeline().now() < server_.away_until_ + patience;
        if (is_away && loop_.now() - sent < patience_with_server) {
            return give_up_later(sent, std::move(give_up));
        }
        give_up();
    });
}

void Link::get(std::string key, store::Handler<store::Lookup> handler) {
    call<store::Lookup>(std::move(handler), store::Failure::unavailable,
                        [this_server = &server_, key = std::move(key)](auto answer) mutable {
                            this_server->store().get(std::move(key), std::move(answer));
                        });
}

void Link::list(store::ListRequest request, store::Handler<store::Page> handler) {
    call<store::Page>(std::move(handler), store::Failure::unavailable,
                      [this_server = &server_, request = std::move(request)](auto answer) mutable {
                          this_server->store().list(std::move(request), std::move(answer));
                      });
}

void Link::commit(store::Transaction transaction, store::Handler<store::Revision> handler) {
    commit_arrives_ = call<store::Revision>(
        std::move(handler), store::Failure::uncertain,
        [this_server = &server_, transaction = std::move(transaction)](auto answer) mutable {
            this_server->store().commit(std::move(transaction), std::move(answer));
        });
}

store::Result<std::unique_ptr<store::Watch>> Link::watch(std::string prefix, store::Revision from,
                                                         store::Watcher& watcher) {
    return std::unique_ptr<store::Watch>{
        std::make_unique<LinkWatch>(*this, std::move(prefix), from, watcher)};
}

void Link::grant(std::chrono::seconds ttl, store::Handler<store::LeaseId> handler) {
    call<store::LeaseId>(std::move(handler), store::Failure::uncertain,
                         [this_server = &server_, ttl](auto answer) mutable {
                             this_server->store().grant(ttl, std::move(answer));
                         });
}

void Link::keep_alive(store::LeaseId lease, store::Handler<store::LeaseId> handler) {
    call<store::LeaseId>(std::move(handler), store::Failure::unavailable,
                         [this_server = &server_, lease](auto answer) mutable {
                             this_server->store().keep_alive(lease, std::move(answer));
                         });
}

void Link::revoke(store::LeaseId lease, store::Handler<store::LeaseId> handler) {
    call<store::LeaseId>(std::move(handler), store::Failure::uncertain,
                         [this_server = &server_, lease](auto answer) mutable {
                             this_server->store().revoke(lease, std::move(answer));
                         });
}

}  // namespace shoal::sim
