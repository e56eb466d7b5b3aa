// A memory store on a simulated clock, and one that can be made to fail.
#pragma once

#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "controlplane/model/host.h"
#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/store/memory_store.h"
#include "tests/sim/timeline.h"

namespace shoal::failover::test {

using namespace std::chrono_literals;

struct Bench {
    sim::Timeline timeline;
    sim::VirtualLoop loop{timeline};
    store::MemoryStore store{loop};

    void run(std::chrono::nanoseconds time) { timeline.run_until(timeline.now() + time); }

    std::optional<store::Entry> get(const std::string& key) {
        std::optional<store::Entry> entry;
        store.get(key, [&entry](store::Result<store::Lookup> lookup) {
            REQUIRE(lookup);
            entry = lookup->entry;
        });
        run(0s);
        return entry;
    }
    store::Result<store::Revision> commit(store::Transaction transaction) {
        std::optional<store::Result<store::Revision>> answer;
        store.commit(std::move(transaction),
                     [&answer](store::Result<store::Revision> result) { answer = result; });
        run(0s);
        REQUIRE(answer);
        return *answer;
    }
    void put(const std::string& key, const std::string& value) {
        REQUIRE(commit({{}, {store::Put{key, value}}}));
    }
    void remove(const std::string& key) { REQUIRE(commit({{}, {store::Delete{key}}})); }
    std::optional<model::Heartbeat> heartbeat(const std::string& host) {
        const auto entry = get(model::keys::of(model::keys::heartbeats, host));
        return entry ? std::optional{model::from_json<model::Heartbeat>(entry->value)}
                     : std::nullopt;
    }
};

// Passes everything on until it is told to lose things.
class LossyStore final : public store::Store {
public:
    // `late`: a commit arrives only with the next one, just before it.
    enum class Loss { nothing, requests, answers, late };

    explicit LossyStore(Bench& bench) : bench_{bench} {}
    Loss loss = Loss::nothing;

    void get(std::string key, store::Handler<store::Lookup> handler) override {
        if (may_pass(handler)) {
            bench_.store.get(std::move(key), wrap(std::move(handler)));
        }
    }
    void list(store::ListRequest request, store::Handler<store::Page> handler) override {
        if (may_pass(handler)) {
            bench_.store.list(std::move(request), wrap(std::move(handler)));
        }
    }
    void commit(store::Transaction transaction, store::Handler<store::Revision> handler) override {
        if (loss == Loss::late && !late_) {
            late_ = std::move(transaction);
            bench_.loop.call_after(100ms, [handler = std::move(handler)]() mutable {
                handler(std::unexpected{store::Error{store::Failure::uncertain, "late"}});
            });
            return;
        }
        if (late_) {
            bench_.store.commit(std::move(*late_), [](const store::Result<store::Revision>&) {});
            late_.reset();
        }
        if (may_pass(handler)) {
            bench_.store.commit(std::move(transaction), wrap(std::move(handler)));
        }
    }
    store::Result<std::unique_ptr<store::Watch>> watch(std::string prefix, store::Revision from,
                                                       store::Watcher& watcher) override {
        return bench_.store.watch(std::move(prefix), from, watcher);
    }
    void grant(std::chrono::seconds ttl, store::Handler<store::LeaseId> handler) override {
        if (may_pass(handler)) {
            bench_.store.grant(ttl, wrap(std::move(handler)));
        }
    }
    void keep_alive(store::LeaseId lease, store::Handler<store::LeaseId> handler) override {
        if (may_pass(handler)) {
            bench_.store.keep_alive(lease, wrap(std::move(handler)));
        }
    }
    void revoke(store::LeaseId lease, store::Handler<store::LeaseId> handler) override {
        bench_.store.revoke(lease, std::move(handler));
    }
    void compact(store::Revision revision, store::Handler<store::Revision> handler) override {
        bench_.store.compact(revision, std::move(handler));
    }

private:
    template <typename T>
    bool may_pass(store::Handler<T>& handler) {
        if (loss != Loss::requests) {
            return true;
        }
        bench_.loop.call_after(100ms, [handler = std::move(handler)]() mutable {
            handler(std::unexpected{store::Error{store::Failure::unavailable, "lost"}});
        });
        return false;
    }
    template <typename T>
    store::Handler<T> wrap(store::Handler<T> handler) {
        return [this, handler = std::move(handler)](store::Result<T> result) mutable {
            if (loss == Loss::answers) {
                result = std::unexpected{store::Error{store::Failure::uncertain, "lost"}};
            }
            handler(std::move(result));
        };
    }

    Bench& bench_;
    std::optional<store::Transaction> late_;
};

}  // namespace shoal::failover::test
