// Server and Link: one memory store, and what lies between it and each process: delay, loss of
// requests, loss of answers, and requests that arrive after their sender has given up.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/store/memory_store.h"
#include "tests/sim/dice.h"
#include "tests/sim/timeline.h"

namespace shoal::sim {

class Link;
class LinkWatch;

// The store, its watches handed out by prefix: 10,000 hosts watch, each its own folder.
class Server final : private store::Watcher {
public:
    Server(Timeline& timeline, Dice& dice);

    [[nodiscard]] store::MemoryStore& store() noexcept { return store_; }
    [[nodiscard]] Dice& dice() noexcept { return dice_; }
    [[nodiscard]] Timeline& timeline() noexcept { return timeline_; }
    // Told each change as it happens.
    std::function<void(const store::Event&)> on_event;
    // Requests are this much slower.
    Time slowness{};
    // Serves nobody until then: its leader has died, or stands still. Half of what was on its way
    // is done then, before all else, whatever became of its sender: the old leader had handed it
    // on.
    void go_away(Time until);
    [[nodiscard]] Time away_until() const noexcept { return away_until_; }

private:
    friend LinkWatch;
    friend Link;

    void on_changes(std::span<const store::Event> events) override;
    void on_compacted(store::Revision) override;
    void subscribe(LinkWatch& watch, store::Revision from);
    void compact_later();

    Timeline& timeline_;
    Dice& dice_;
    Time away_since_{};
    Time away_until_{};
    VirtualLoop loop_;
    store::MemoryStore store_;
    std::unique_ptr<store::Watch> watch_;
    // By prefix, then in the order of their making: no pointer decides what happens first.
    std::unordered_map<std::string, std::map<std::uint64_t, LinkWatch*>> watches_;
    std::uint64_t last_watch_ = 0;
    std::deque<store::Event> recent_;
    store::Revision forgotten_ = 0;  // up to here
};

// A process's way to the store. Ends with its process.
class Link final : public store::Store {
public:
    enum class State { up, down, answers_lost };

    Link(Server& server, VirtualLoop& loop) : server_{server}, loop_{loop} {}
    ~Link() override = default;

    void set(State state);
    [[nodiscard]] State state() const noexcept { return state_; }
    // Whether one is on its way to the store.
    [[nodiscard]] bool is_committing() const { return server_.timeline_.now() < commit_arrives_; }

    void get(std::string key, store::Handler<store::Lookup> handler) override;
    void list(store::ListRequest request, store::Handler<store::Page> handler) override;
    void commit(store::Transaction transaction, store::Handler<store::Revision> handler) override;
    store::Result<std::unique_ptr<store::Watch>> watch(std::string prefix, store::Revision from,
                                                       store::Watcher& watcher) override;
    void grant(std::chrono::seconds ttl, store::Handler<store::LeaseId> handler) override;
    void keep_alive(store::LeaseId lease, store::Handler<store::LeaseId> handler) override;
    void revoke(store::LeaseId lease, store::Handler<store::LeaseId> handler) override;
    void compact(store::Revision, store::Handler<store::Revision>) override {}

private:
    friend LinkWatch;

    // What a request does at the server, given where its answer goes.
    template <typename T>
    using Act = std::move_only_function<void(store::Handler<T>)>;

    // Returns when it arrives.
    template <typename T>
    Time call(store::Handler<T> handler, store::Failure if_lost, Act<T> act);
    void give_up_later(Time sent, store::EventLoop::Task give_up);
    [[nodiscard]] Time delay();

    Server& server_;
    VirtualLoop& loop_;
    State state_ = State::up;
    Time commit_arrives_{};
    std::map<std::uint64_t, LinkWatch*> watches_;
    std::shared_ptr<Link*> self_ = std::make_shared<Link*>(this);
};

}  // namespace shoal::sim
