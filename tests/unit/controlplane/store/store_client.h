// StoreClient: a store with calls that wait, and a watcher that remembers. For tests.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/store/store.h"
#include "tests/unit/controlplane/store/event_loop_runner.h"

namespace shoal::store::test {

class Recorder final : public Watcher {
public:
    void on_changes(std::span<const Event> changes) override {
        events.insert(events.end(), changes.begin(), changes.end());
        calls.emplace_back(changes.begin(), changes.end());
    }
    void on_compacted(Revision revision) override { compacted = revision; }
    void on_reconnected() override { ++reconnect_count; }

    std::vector<Event> events;
    std::vector<std::vector<Event>> calls;
    std::optional<Revision> compacted;
    int reconnect_count = 0;
};

class StoreClient {
public:
    StoreClient(EventLoopRunner& runner, Store& store) : runner_{runner}, store_{store} {}

    [[nodiscard]] Store& store() noexcept { return store_; }
    [[nodiscard]] EventLoopRunner& runner() noexcept { return runner_; }

    Result<Lookup> get(const std::string& key) {
        return runner_.await<Lookup>(
            [&](Handler<Lookup> handler) { store_.get(key, std::move(handler)); });
    }
    // The value, or "(absent)".
    std::string value(const std::string& key) {
        const auto lookup = get(key);
        REQUIRE(lookup);
        return lookup->entry ? lookup->entry->value : "(absent)";
    }
    Result<Page> list(const ListRequest& request) {
        return runner_.await<Page>(
            [&](Handler<Page> handler) { store_.list(request, std::move(handler)); });
    }
    Result<Revision> commit(const Transaction& transaction) {
        return runner_.await<Revision>(
            [&](Handler<Revision> handler) { store_.commit(transaction, std::move(handler)); });
    }
    Result<Revision> put(const std::string& key, const std::string& value, LeaseId lease = 0) {
        return commit({{}, {Put{key, value, lease}}});
    }
    Result<Revision> remove(const std::string& key) { return commit({{}, {Delete{key}}}); }
    Result<LeaseId> grant(std::chrono::seconds ttl) {
        return runner_.await<LeaseId>(
            [&](Handler<LeaseId> handler) { store_.grant(ttl, std::move(handler)); });
    }
    Result<LeaseId> keep_alive(LeaseId lease) {
        return runner_.await<LeaseId>(
            [&](Handler<LeaseId> handler) { store_.keep_alive(lease, std::move(handler)); });
    }
    Result<LeaseId> revoke(LeaseId lease) {
        return runner_.await<LeaseId>(
            [&](Handler<LeaseId> handler) { store_.revoke(lease, std::move(handler)); });
    }
    Result<Revision> compact(Revision revision) {
        return runner_.await<Revision>(
            [&](Handler<Revision> handler) { store_.compact(revision, std::move(handler)); });
    }
    std::unique_ptr<Watch> watch(const std::string& prefix, Revision from, Watcher& watcher) {
        auto watch = store_.watch(prefix, from, watcher);
        REQUIRE(watch);
        return std::move(*watch);
    }

private:
    EventLoopRunner& runner_;
    Store& store_;
};

// Waits for a server that is starting, or coming back.
inline void wait_until_serving(EventLoopRunner& runner, Store& store) {
    bool is_serving = false;
    const std::function<void()> ask = [&] {
        store.get("/serving", [&](const Result<Lookup>& lookup) {
            is_serving = lookup.has_value();
            if (!is_serving) {
                ask();
            }
        });
    };
    ask();
    runner.run_until([&] { return is_serving; });
}

// The failure of an answer, or nothing.
template <typename T>
std::optional<Failure> failure_of(const Result<T>& result) {
    return result ? std::nullopt : std::optional{result.error().failure};
}

}  // namespace shoal::store::test
