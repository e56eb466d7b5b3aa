// Writes whose answer is lost, late or never given: what the caller is told is true.
#include <doctest/doctest.h>

#include <functional>
#include <random>
#include <set>

#include "controlplane/store/etcd_request.h"
#include "controlplane/store/etcd_store.h"
#include "tests/unit/controlplane/store/etcd_cluster.h"
#include "tests/unit/controlplane/store/flaky_wire.h"
#include "tests/unit/controlplane/store/store_client.h"

namespace shoal::store::test {

namespace {

using Requests = FlakyWire::Requests;

Transaction swap(const std::string& key, Revision expected, const std::string& value) {
    return {{{key, expected}}, {Put{key, value}}};
}

// One etcd; a store behind a wire, and one beside it that is never disturbed.
struct Bench {
    Bench() { wait_until_serving(runner, other_store); }

    [[nodiscard]] EtcdOptions behind_wire() const {
        EtcdOptions options = cluster.options();
        options.endpoints = {wire.endpoint()};
        return options;
    }
    void lose_next_answer() {
        wire.lose_answers_if([this, is_lost = false]() mutable {
            lost_count += is_lost ? 0 : 1;
            return !std::exchange(is_lost, true);
        });
    }
    Entry entry(const std::string& key) {
        const auto lookup = other.get(key);
        REQUIRE(lookup);
        REQUIRE(lookup->entry);
        return *lookup->entry;
    }
    // What the store says of it, once it does.
    std::shared_ptr<std::optional<Result<Revision>>> start(const Transaction& transaction) {
        auto said = std::make_shared<std::optional<Result<Revision>>>();
        store.commit(transaction, [said](Result<Revision> result) { *said = std::move(result); });
        return said;
    }

    EventLoopRunner runner;
    EtcdCluster cluster{1};
    FlakyWire wire{runner.context(), cluster.endpoint(0)};
    EtcdStore store{runner.context(), behind_wire()};
    StoreClient client{runner, store};
    EtcdStore other_store{runner.context(), cluster.options()};
    StoreClient other{runner, other_store};
    int lost_count = 0;
};

}  // namespace

TEST_CASE("a transaction happens once when a condition is on what it changes") {
    CHECK(etcd::happens_once(swap("/a", 0, "1")));
    CHECK(etcd::happens_once({{{"/b", 1}, {"/a", 2}}, {Put{"/c", ""}, Delete{"/a"}}}));
    CHECK(!etcd::happens_once({{}, {Put{"/a", ""}}}));
    CHECK(!etcd::happens_once({{{"/b", 1}}, {Put{"/a", ""}}}));
    CHECK(!etcd::happens_once({{{"/a", 0}}, {Delete{"/a"}}}));  // It changes nothing.
    CHECK(!etcd::happens_once({{{"/a", 1}}, {}}));
}

TEST_CASE("a guarded write whose answer is lost is done once, and its revision is its own") {
    Bench bench;
    const auto before = bench.other.put("/b", "old");
    REQUIRE(before);
    bench.lose_next_answer();
    SUBCASE("a put") {
        const auto made = bench.client.commit(swap("/a", 0, "1"));
        REQUIRE(made);
        CHECK(*made == *before + 1);
        CHECK(bench.entry("/a") == Entry{"/a", "1", *made, *made, 0});
    }
    SUBCASE("several puts and a deletion") {
        const auto made = bench.client.commit(
            {{{"/b", *before}, {"/a", 0}}, {Put{"/a", "1"}, Delete{"/b"}, Put{"/c", "1"}}});
        REQUIRE(made);
        CHECK(*made == *before + 1);
        CHECK(bench.entry("/c").mod_revision == *made);
        CHECK(bench.other.value("/b") == "(absent)");
    }
    SUBCASE("a mark, which is guarded beside what it is about") {
        const auto made = bench.client.commit(
            {{{"/b", *before}, {"/deletions/b", 0}}, {Put{"/deletions/b", "{}"}}});
        REQUIRE(made);
        CHECK(bench.entry("/deletions/b").mod_revision == *made);
    }
    SUBCASE("a deletion, with nothing after it") {
        CHECK(bench.client.commit({{{"/b", *before}}, {Delete{"/b"}}}) == *before + 1);
    }
    CHECK(bench.lost_count == 1);
    const auto after = bench.other.get("/none");
    REQUIRE(after);
    CHECK(after->revision == *before + 1);
}

TEST_CASE("a write without a guard whose answer is lost is uncertain, and is not sent again") {
    Bench bench;
    bench.lose_next_answer();
    CHECK(failure_of(bench.client.put("/a", "1")) == Failure::uncertain);
    CHECK(bench.wire.requests() == 1);
    CHECK(bench.entry("/a").value == "1");
}

TEST_CASE("a guarded write that changed meanwhile is not called a conflict") {
    Bench bench;
    bench.lose_next_answer();
    const auto said = bench.start({{{"/a", 0}}, {Put{"/a", "ours"}, Put{"/b", "ours"}}});
    bench.runner.run_until([&] { return bench.lost_count == 1; });
    bench.wire.set(Requests::held);  // The second attempt, until somebody else has written.
    const Revision ours = bench.entry("/a").mod_revision;
    SUBCASE("by a guarded write: it may have happened") {
        REQUIRE(bench.other.commit({{{"/a", ours}}, {Put{"/a", "other"}, Delete{"/b"}}}));
        bench.wire.release();
        bench.runner.run_until([&] { return said->has_value(); });
        CHECK(failure_of(**said) == Failure::uncertain);
    }
    SUBCASE("by one without a guard: the signature is still there") {
        REQUIRE(bench.other.commit({{}, {Put{"/a", "other"}, Put{"/b", "other"}}}));
        bench.wire.release();
        bench.runner.run_until([&] { return said->has_value(); });
        CHECK(**said == ours);
    }
    SUBCASE("in part: what is left tells") {
        REQUIRE(bench.other.commit(swap("/a", ours, "other")));
        bench.wire.release();
        bench.runner.run_until([&] { return said->has_value(); });
        CHECK(**said == ours);
    }
}

TEST_CASE("another's write of the same value is not taken for one's own") {
    Bench bench;
    bench.wire.set(Requests::lost);
    const auto said = bench.start(swap("/a", 0, "same"));
    bench.runner.run_until([&] { return bench.wire.requests() == 1; });
    REQUIRE(bench.other.commit(swap("/a", 0, "same")));
    bench.wire.set(Requests::pass);
    bench.runner.run_until([&] { return said->has_value(); });
    CHECK(failure_of(**said) == Failure::uncertain);
    CHECK(bench.wire.requests() > 1);
}

TEST_CASE("a first attempt that comes after the second changes nothing") {
    Bench bench;
    EtcdOptions options = bench.behind_wire();
    options.endpoints.push_back(bench.cluster.endpoint(0));
    EtcdStore store{bench.runner.context(), options};
    StoreClient client{bench.runner, store};
    bench.wire.set(Requests::held);
    const auto made = client.commit(swap("/a", 0, "1"));
    REQUIRE(made);
    CHECK(bench.wire.requests() == 1);
    Revision newest = *made;
    SUBCASE("what was written is still there") {}
    SUBCASE("what was written has changed") {
        const auto changed = bench.other.commit(swap("/a", *made, "2"));
        REQUIRE(changed);
        newest = *changed;
    }
    const auto answers = bench.wire.answers();
    bench.wire.release();
    bench.runner.run_until([&] { return bench.wire.answers() > answers; });
    CHECK(bench.entry("/a").mod_revision == newest);
}

namespace {

// A store with two members: this wire's, and another one.
EtcdOptions through(const FlakyWire& wire, const Endpoint& other) {
    EtcdOptions options;
    options.endpoints = {wire.endpoint(), other};
    return options;
}

}  // namespace

TEST_CASE("a member that stands still is left for another one long before its time is over") {
    Bench bench;
    EtcdOptions options = through(bench.wire, bench.cluster.endpoint(0));
    options.attempt_timeout = options.request_timeout = options.probe_interval =
        std::chrono::minutes{1};
    EtcdStore store{bench.runner.context(), options};
    StoreClient client{bench.runner, store};
    Recorder recorder;
    const auto watch = client.watch("/w/", 1, recorder);
    const auto before = client.put("/w/a", "1");
    REQUIRE(before);
    bench.runner.run_until([&] { return recorder.events.size() == 1; });
    bench.wire.set(Requests::held);
    SUBCASE("by what is read") {
        CHECK(client.value("/w/a") == "1");
        CHECK(client.value("/none") == "(absent)");
    }
    SUBCASE("by a guarded write") {
        CHECK(client.commit(swap("/a", 0, "1")) == *before + 1);
    }
    SUBCASE("by an election") {
        CHECK(client.grant(std::chrono::seconds{60}));
    }
    const auto requests = bench.wire.requests();
    REQUIRE(bench.other.put("/w/a", "2"));
    bench.runner.run_until([&] { return recorder.events.size() == 2; });
    CHECK(recorder.reconnect_count == 1);
    CHECK(client.value("/w/a") == "2");
    CHECK(bench.wire.requests() == requests);
}

TEST_CASE("who was asked first may answer last, and is not left while he answers") {
    Bench bench;
    FlakyWire dead{bench.runner.context(), bench.cluster.endpoint(0)};
    dead.set(Requests::lost);
    EtcdStore store{bench.runner.context(), through(bench.wire, dead.endpoint())};
    StoreClient client{bench.runner, store};
    bench.wire.set(Requests::held);
    const auto made = [&] {
        auto said = std::make_shared<std::optional<Result<Revision>>>();
        store.commit(swap("/a", 0, "1"),
                     [said](Result<Revision> result) { *said = std::move(result); });
        return said;
    }();
    bench.runner.run_until([&] { return dead.requests() == 1; });
    bench.wire.release();
    bench.runner.run_until([&] { return made->has_value(); });
    CHECK(**made == bench.entry("/a").mod_revision);
    CHECK(client.value("/a") == "1");
    CHECK(dead.requests() == 1);
}

TEST_CASE("a write without a guard is asked of one member only, however long it takes") {
    Bench bench;
    FlakyWire other{bench.runner.context(), bench.cluster.endpoint(0)};
    EtcdStore store{bench.runner.context(), through(bench.wire, other.endpoint())};
    StoreClient client{bench.runner, store};
    bench.wire.set(Requests::lost);
    CHECK(failure_of(client.put("/a", "1")) == Failure::uncertain);
    CHECK(other.requests() == 0);
}

TEST_CASE("compare-and-swap through a wire that loses answers counts each success once") {
    Bench bench;
    std::minstd_rand random{20261128};  // NOLINT: seeded on purpose
    int lost = 0;
    bench.wire.lose_answers_if([&] {
        const bool is_lost = random() % 3 == 0;
        lost += is_lost ? 1 : 0;
        return is_lost;
    });
    constexpr int writer_count = 6;
    constexpr int tries_each = 15;
    std::set<Revision> revisions;
    int uncertain = 0;
    int running = writer_count;
    // Many write the same number at the same revision: one of them may believe it was theirs.
    std::function<void(int)> add = [&](int left) {
        if (left == 0) {
            --running;
            return;
        }
        bench.other_store.get("/n", [&, left](const Result<Lookup>& found) {
            REQUIRE(found);
            const int value = found->entry ? std::stoi(found->entry->value) : 0;
            const Revision expected = found->entry ? found->entry->mod_revision : 0;
            bench.store.commit(swap("/n", expected, std::to_string(value + 1)),
                               [&, left](const Result<Revision>& made) {
                                   if (made) {
                                       CHECK(revisions.insert(*made).second);
                                   } else if (made.error().failure == Failure::uncertain) {
                                       ++uncertain;
                                   } else {
                                       CHECK(made.error().failure == Failure::conflict);
                                   }
                                   add(left - 1);
                               });
        });
    };
    for (int i = 0; i < writer_count; ++i) {
        add(tries_each);
    }
    bench.runner.run_until([&] { return running == 0; });
    const int sum = std::stoi(bench.entry("/n").value);
    const int successes = static_cast<int>(revisions.size());
    MESSAGE(lost << " answers lost, " << successes << " successes, " << uncertain
                 << " uncertain, sum " << sum);
    CHECK(lost > 0);
    CHECK(successes > 0);
    CHECK(sum >= successes);
    CHECK(sum <= successes + uncertain);
}

}  // namespace shoal::store::test
