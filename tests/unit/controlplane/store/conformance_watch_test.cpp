// What every store must do, whatever it is made of: watches, compaction, leases.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "controlplane/store/limits.h"
#include "tests/unit/controlplane/store/conformance.h"

namespace shoal::store::test {

TEST_CASE_TEMPLATE("a watch sees every change of its prefix once and in order", Kind,
                   FANNED_STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    const auto first = client.put(test.at("w/a"), "1");
    REQUIRE(first);
    REQUIRE(client.put(test.at("other"), "1"));
    Recorder recorder;
    const auto watch = client.watch(test.at("w/"), *first, recorder);  // From the past.
    REQUIRE(client.commit({{}, {Put{test.at("w/a"), "2"}, Put{test.at("w/b"), "2"}}}));
    const auto removed = client.remove(test.at("w/a"));
    const auto last = client.put(test.at("w/c"), "3");
    REQUIRE(last);
    test.runner().run_until([&] { return recorder.events.size() >= 5; });

    REQUIRE(recorder.events.size() == 5);
    CHECK(recorder.events[0] == Event{Event::Kind::put, {test.at("w/a"), "1", *first, *first, 0}});
    CHECK(recorder.events[1].entry.mod_revision == recorder.events[2].entry.mod_revision);
    CHECK(recorder.events[3] == Event{Event::Kind::deleted, {test.at("w/a"), {}, 0, *removed, 0}});
    CHECK(recorder.events[4] == Event{Event::Kind::put, {test.at("w/c"), "3", *last, *last, 0}});
    for (const auto& call : recorder.calls) {
        CHECK(!call.empty());
    }
}

TEST_CASE_TEMPLATE("a watch may be resumed, begin in the future, and be destroyed", Kind,
                   FANNED_STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    const auto first = client.put(test.at("a"), "1");
    REQUIRE(first);
    Recorder before;
    auto watch = client.watch(test.at(""), *first, before);
    test.runner().run_until([&] { return before.events.size() == 1; });
    watch.reset();
    REQUIRE(client.put(test.at("a"), "2"));

    Recorder resumed;
    Recorder future;
    const auto second = client.watch(test.at(""), *first + 1, resumed);
    const auto third = client.watch(test.at(""), *first + 2, future);
    REQUIRE(client.put(test.at("a"), "3"));
    test.runner().run_until(
        [&] { return resumed.events.size() == 2 && future.events.size() == 1; });
    CHECK(resumed.events[0].entry.value == "2");
    CHECK(future.events[0].entry.value == "3");
    CHECK(before.events.size() == 1);
}

TEST_CASE_TEMPLATE("a watch of thousands of past changes misses none", Kind, FANNED_STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    constexpr int rounds = 25;
    Revision first = 0;
    for (int round = 0; round < rounds; ++round) {
        Transaction transaction;
        for (std::size_t i = 0; i < max_operations; ++i) {
            transaction.operations.emplace_back(
                Put{test.at(std::to_string(i)), std::to_string(round)});
        }
        const auto revision = client.commit(transaction);
        REQUIRE(revision);
        first = first == 0 ? *revision : first;
    }
    Recorder recorder;
    const auto watch = client.watch(test.at(""), first, recorder);
    test.runner().run_until([&] { return recorder.events.size() >= rounds * max_operations; });
    CHECK(recorder.events.size() == rounds * max_operations);
    for (const auto& call : recorder.calls) {
        CHECK(call.size() % max_operations == 0);  // Whole revisions.
    }
    CHECK(std::ranges::is_sorted(recorder.events, {},
                                 [](const Event& event) { return event.entry.mod_revision; }));
}

TEST_CASE_TEMPLATE("what is compacted is an answer of its own", Kind, FANNED_STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    const auto first = client.put(test.at("a"), "1");
    REQUIRE(client.put(test.at("b"), "1"));
    REQUIRE(client.remove(test.at("b")));
    REQUIRE(client.put(test.at("a"), "2"));
    const auto last = client.put(test.at("a"), "3");
    REQUIRE(last);
    CHECK(client.compact(*last) == *last);

    CHECK(failure_of(client.list({.prefix = test.at(""), .revision = *first})) ==
          Failure::compacted);
    CHECK(failure_of(client.compact(*first)) == Failure::compacted);
    CHECK(failure_of(client.list({.prefix = test.at(""), .revision = *last + 100'000})) ==
          Failure::invalid);
    Recorder recorder;
    const auto watch = client.watch(test.at(""), *first, recorder);
    test.runner().run_until([&] { return recorder.compacted.has_value(); });
    CHECK(*recorder.compacted >= *last);
    CHECK(recorder.events.empty());

    // What is current is still there, also at the revision of the compaction.
    const auto page = client.list({.prefix = test.at(""), .revision = *last});
    REQUIRE(page);
    REQUIRE(page->entries.size() == 1);
    CHECK(page->entries[0].value == "3");
    CHECK(page->entries[0].create_revision == *first);
    Recorder resumed;
    const auto next = client.watch(test.at(""), *last + 1, resumed);
    REQUIRE(client.put(test.at("a"), "4"));
    test.runner().run_until([&] { return resumed.events.size() == 1; });
}

TEST_CASE_TEMPLATE("a lease that nobody keeps alive takes its keys along", Kind,
                   FANNED_STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    const auto lease = client.grant(min_lease);
    const auto kept = client.grant(min_lease);
    REQUIRE(lease);
    REQUIRE(kept);
    CHECK(*lease != *kept);
    const auto put = client.put(test.at("leased/a"), "1", *lease);
    REQUIRE(client.put(test.at("leased/b"), "1", *lease));
    REQUIRE(client.put(test.at("leased/moved"), "1", *lease));
    REQUIRE(client.put(test.at("leased/moved"), "2"));
    REQUIRE(client.put(test.at("kept"), "1", *kept));
    CHECK(client.get(test.at("leased/a"))->entry->lease == *lease);

    Recorder recorder;
    const auto watch = client.watch(test.at("leased/"), *put, recorder);
    const auto start = std::chrono::steady_clock::now();
    auto renewed = start;
    test.runner().run_until([&] {
        if (std::chrono::steady_clock::now() - renewed > std::chrono::milliseconds{500}) {
            renewed = std::chrono::steady_clock::now();
            client.store().keep_alive(*kept, [](const Result<LeaseId>& alive) { CHECK(alive); });
        }
        return recorder.events.size() == 6;
    });
    CHECK(std::chrono::steady_clock::now() - start > std::chrono::milliseconds{1500});
    CHECK(recorder.events[4].kind == Event::Kind::deleted);
    CHECK(recorder.events[4].entry.mod_revision == recorder.events[5].entry.mod_revision);
    CHECK(client.value(test.at("leased/moved")) == "2");
    CHECK(client.value(test.at("kept")) == "1");
    CHECK(failure_of(client.keep_alive(*lease)) == Failure::lease_gone);
    CHECK(failure_of(client.put(test.at("x"), "1", *lease)) == Failure::lease_gone);
}

TEST_CASE_TEMPLATE("a revoked lease takes its keys along at once", Kind, FANNED_STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    const auto lease = client.grant(max_lease);
    REQUIRE(lease);
    REQUIRE(client.put(test.at("a"), "1", *lease));
    CHECK(client.revoke(*lease) == *lease);
    CHECK(client.value(test.at("a")) == "(absent)");
    CHECK(failure_of(client.revoke(*lease)) == Failure::lease_gone);
    CHECK(failure_of(client.keep_alive(*lease)) == Failure::lease_gone);
    CHECK(failure_of(client.grant(min_lease - std::chrono::seconds{1})) == Failure::invalid);
    CHECK(failure_of(client.grant(max_lease + std::chrono::seconds{1})) == Failure::invalid);
}

TEST_CASE_TEMPLATE("hundreds of watches see the same change, one too many is refused", Kind,
                   STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    const auto start = client.put(test.at("a"), "1");
    std::vector<Recorder> recorders(max_watches);
    std::vector<std::unique_ptr<Watch>> watches;
    for (Recorder& recorder : recorders) {
        watches.push_back(client.watch(test.at(""), *start + 1, recorder));
    }
    Recorder extra;
    CHECK(failure_of(client.store().watch(test.at(""), 1, extra)) == Failure::too_large);
    CHECK(failure_of(client.store().watch("x", 1, extra)) == Failure::invalid);
    REQUIRE(client.put(test.at("a"), "2"));
    test.runner().run_until([&] {
        return std::ranges::all_of(
            recorders, [](const Recorder& recorder) { return recorder.events.size() == 1; });
    });
    watches.clear();
    CHECK(client.store().watch(test.at(""), 1, extra));
}

}  // namespace shoal::store::test
