// What every store must do, whatever it is made of.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "controlplane/store/limits.h"
#include "tests/unit/controlplane/store/conformance.h"
#include "tests/unit/controlplane/store/kinds.h"

namespace shoal::store::test {

namespace {

Transaction swap(const std::string& key, Revision expected, const std::string& value) {
    return {{{key, expected}}, {Put{key, value}}};
}

}  // namespace

TEST_CASE_TEMPLATE("a key holds the bytes that were put last", Kind, STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    std::string bytes(256, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<char>(i);
    }
    CHECK(client.value(test.at("a")) == "(absent)");
    const auto first = client.put(test.at("a"), "1");
    const auto second = client.put(test.at("a"), bytes);
    REQUIRE(first);
    REQUIRE(second);
    CHECK(*second > *first);

    const auto lookup = client.get(test.at("a"));
    REQUIRE(lookup);
    REQUIRE(lookup->entry);
    CHECK(*lookup->entry == Entry{test.at("a"), bytes, *first, *second, 0});
    CHECK(lookup->revision >= *second);

    REQUIRE(client.put(test.at("a"), ""));
    CHECK(client.value(test.at("a")).empty());
}

TEST_CASE_TEMPLATE("a deleted key is absent and starts anew", Kind, STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    REQUIRE(client.put(test.at("a"), "1"));
    const auto removed = client.remove(test.at("a"));
    REQUIRE(removed);
    CHECK(client.value(test.at("a")) == "(absent)");
    CHECK(client.remove(test.at("a")) == *removed);  // Nothing changed.

    const auto again = client.put(test.at("a"), "2");
    REQUIRE(again);
    CHECK(*again > *removed);
    CHECK(client.get(test.at("a"))->entry->create_revision == *again);
}

TEST_CASE_TEMPLATE("a list has the keys of its prefix in order, page by page", Kind, STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    Transaction transaction;
    for (const char* name : {"b/2", "b/1", "b/3", "a", "b0", "bb/1"}) {
        transaction.operations.emplace_back(Put{test.at(name), name});
    }
    REQUIRE(client.commit(transaction));

    const auto first = client.list({.prefix = test.at("b/"), .limit = 2});
    REQUIRE(first);
    REQUIRE(first->entries.size() == 2);
    CHECK(first->entries[0].value == "b/1");
    CHECK(first->entries[1].value == "b/2");
    CHECK(first->has_more);

    // What happens between two pages is not seen by the second.
    REQUIRE(client.put(test.at("b/3"), "new"));
    REQUIRE(client.put(test.at("b/4"), "new"));
    REQUIRE(client.remove(test.at("b/1")));
    const auto second = client.list({.prefix = test.at("b/"),
                                     .after = first->entries.back().key,
                                     .revision = first->revision,
                                     .limit = 2});
    REQUIRE(second);
    REQUIRE(second->entries.size() == 1);
    CHECK(second->entries[0].value == "b/3");
    CHECK(!second->has_more);
    CHECK(second->revision == first->revision);

    CHECK(client.list({.prefix = test.at("none/")})->entries.empty());
    CHECK(client.list({.prefix = test.at("b/"), .limit = 3})->entries.size() == 3);
    CHECK(!client.list({.prefix = test.at("b/"), .limit = 3})->has_more);
}

TEST_CASE_TEMPLATE("a list of large values comes in shorter pages", Kind, STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    const std::string large(max_value_bytes, 'x');
    constexpr int count = 40;
    for (int i = 0; i < count; ++i) {
        REQUIRE(client.put(test.at(std::to_string(100 + i)), large));
    }
    ListRequest request{.prefix = test.at("")};
    int seen = 0;
    for (bool has_more = true; has_more;) {
        const auto page = client.list(request);
        REQUIRE(page);
        REQUIRE(!page->entries.empty());
        seen += static_cast<int>(page->entries.size());
        has_more = page->has_more;
        request.after = page->entries.back().key;
        request.revision = page->revision;
    }
    CHECK(seen == count);
}

TEST_CASE_TEMPLATE("a transaction happens as a whole or not at all", Kind, STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    const auto made = client.commit(
        {{{test.at("a"), 0}, {test.at("b"), 0}}, {Put{test.at("a"), "1"}, Put{test.at("b"), "1"}}});
    REQUIRE(made);
    CHECK(client.get(test.at("a"))->entry->mod_revision == *made);
    CHECK(client.get(test.at("b"))->entry->mod_revision == *made);

    SUBCASE("one condition of two does not hold") {
        const auto refused = client.commit({{{test.at("a"), *made}, {test.at("b"), *made + 1}},
                                            {Put{test.at("a"), "2"}, Delete{test.at("b")}}});
        CHECK(failure_of(refused) == Failure::conflict);
        CHECK(client.value(test.at("a")) == "1");
        CHECK(client.value(test.at("b")) == "1");
    }
    SUBCASE("a key that must be absent is there") {
        CHECK(failure_of(client.commit(swap(test.at("a"), 0, "2"))) == Failure::conflict);
    }
    SUBCASE("a key that must be there is absent") {
        CHECK(failure_of(client.commit(swap(test.at("c"), *made, "2"))) == Failure::conflict);
        CHECK(client.value(test.at("c")) == "(absent)");
    }
    SUBCASE("a lease is gone") {
        const auto refused =
            client.commit({{}, {Put{test.at("a"), "2"}, Put{test.at("b"), "2", 7}}});
        CHECK(failure_of(refused) == Failure::lease_gone);
        CHECK(client.value(test.at("a")) == "1");
    }
    SUBCASE("all hold") {
        const auto changed = client.commit({{{test.at("a"), *made}, {test.at("c"), 0}},
                                            {Delete{test.at("a")}, Put{test.at("b"), "2"}}});
        REQUIRE(changed);
        CHECK(client.value(test.at("a")) == "(absent)");
        CHECK(client.get(test.at("b"))->entry->mod_revision == *changed);
    }
    SUBCASE("only conditions") {
        CHECK(client.commit({{{test.at("a"), *made}}, {}}));
        CHECK(failure_of(client.commit({{{test.at("a"), 0}}, {}})) == Failure::conflict);
    }
}

TEST_CASE_TEMPLATE("what is beyond a limit is refused and changes nothing", Kind, STORE_KINDS) {
    Conformance<Kind> test;
    auto& client = test.client();
    const auto put = [&](const std::string& key, std::size_t size) {
        return failure_of(client.put(key, std::string(size, 'x')));
    };
    CHECK(put(test.at("a"), max_value_bytes) == std::nullopt);
    CHECK(put(test.at("a"), max_value_bytes + 1) == Failure::too_large);
    CHECK(put("/" + std::string(max_key_bytes - 1, 'k'), 1) == std::nullopt);
    CHECK(put("/" + std::string(max_key_bytes, 'k'), 1) == Failure::too_large);
    for (const char* key : {"", "a", "/", "/a/", "//a", "/a b", "/a\n", "/\x80"}) {
        CAPTURE(key);
        CHECK(put(key, 1) == Failure::invalid);
    }
    Transaction many;
    for (std::size_t i = 0; i < max_operations; ++i) {
        many.operations.emplace_back(Put{test.at(std::to_string(i)), "x"});
        many.conditions.push_back({test.at(std::to_string(i)), 0});
    }
    CHECK(client.commit(many));
    many.operations.emplace_back(Put{test.at("more"), "x"});
    CHECK(failure_of(client.commit(many)) == Failure::too_large);
    CHECK(client.value(test.at("more")) == "(absent)");

    const std::string large(max_value_bytes, 'x');
    CHECK(failure_of(client.commit({{}, {Put{test.at("p"), large}, Put{test.at("q"), large}}})) ==
          Failure::too_large);
    CHECK(failure_of(client.commit({{}, {Put{test.at("p"), "1"}, Delete{test.at("p")}}})) ==
          Failure::invalid);
    CHECK(failure_of(client.list({.prefix = test.at(""), .limit = max_page_keys + 1})) ==
          Failure::too_large);
    CHECK(failure_of(client.list({.prefix = test.at("b"), .after = "/z"})) == Failure::invalid);
}

TEST_CASE_TEMPLATE("a watch sees every change of its prefix once and in order", Kind, STORE_KINDS) {
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
                   STORE_KINDS) {
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

TEST_CASE_TEMPLATE("a watch of thousands of past changes misses none", Kind, STORE_KINDS) {
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

TEST_CASE_TEMPLATE("what is compacted is an answer of its own", Kind, STORE_KINDS) {
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

TEST_CASE_TEMPLATE("a lease that nobody keeps alive takes its keys along", Kind, STORE_KINDS) {
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

TEST_CASE_TEMPLATE("a revoked lease takes its keys along at once", Kind, STORE_KINDS) {
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

TEST_CASE_TEMPLATE("compare-and-swap by many writers loses nothing", Kind, STORE_KINDS) {
    Conformance<Kind> test;
    Store& store = test.client().store();
    constexpr int writer_count = 8;
    constexpr int adds_each = 20;
    constexpr int counter_count = 3;
    std::minstd_rand random{20261125};  // NOLINT: seeded on purpose
    std::vector<Revision> revisions;
    int running = writer_count;
    // Each reads a counter, adds one if nobody did in between, and tries again otherwise.
    std::function<void(int)> add = [&](int left) {
        if (left == 0) {
            --running;
            return;
        }
        const std::string key = test.at(std::to_string(random() % counter_count));
        store.get(key, [&, key, left](const Result<Lookup>& found) {
            REQUIRE(found);
            const int value = found->entry ? std::stoi(found->entry->value) : 0;
            const Revision expected = found->entry ? found->entry->mod_revision : 0;
            store.commit(swap(key, expected, std::to_string(value + 1)),
                         [&, left](const Result<Revision>& made) {
                             if (made) {
                                 revisions.push_back(*made);
                             } else {
                                 CHECK(made.error().failure == Failure::conflict);
                             }
                             add(made ? left - 1 : left);
                         });
        });
    };
    for (int i = 0; i < writer_count; ++i) {
        add(adds_each);
    }
    test.runner().run_until([&] { return running == 0; });

    int sum = 0;
    for (int i = 0; i < counter_count; ++i) {
        sum += std::stoi(test.client().value(test.at(std::to_string(i))));
    }
    CHECK(sum == writer_count * adds_each);
    // One revision for each success: none is given twice.
    CHECK(std::set(revisions.begin(), revisions.end()).size() == revisions.size());
}

TEST_CASE_TEMPLATE("a history of concurrent writes and reads is linearizable", Kind, STORE_KINDS) {
    Conformance<Kind> test;
    Store& store = test.client().store();
    // A key's revision is its version: a read must be at least as new as everything that had been
    // answered when it was asked for, and have the value that was written at its revision.
    std::minstd_rand random{4711};  // NOLINT: seeded on purpose
    std::map<Revision, std::string> written;
    std::map<Revision, std::string> seen;
    Revision newest_answered = 0;
    constexpr int operation_count = 300;
    int done = 0;
    for (int i = 0; i < operation_count; ++i) {
        const Revision floor = newest_answered;
        if (random() % 2 == 0) {
            const std::string value = std::to_string(i);
            store.put({test.at("x"), value}, [&, floor, value](const Result<Revision>& made) {
                REQUIRE(made);
                CHECK(*made > floor);
                written[*made] = value;
                newest_answered = std::max(newest_answered, *made);
                ++done;
            });
        } else {
            store.get(test.at("x"), [&, floor](const Result<Lookup>& found) {
                REQUIRE(found);
                const Revision version = found->entry ? found->entry->mod_revision : 0;
                CHECK(version >= floor);
                if (found->entry) {
                    seen[version] = found->entry->value;
                }
                newest_answered = std::max(newest_answered, version);
                ++done;
            });
        }
        if (random() % 4 == 0) {
            const int some = done;
            test.runner().run_until([&] { return done > some || done == i + 1; });
        }
    }
    test.runner().run_until([&] { return done == operation_count; });
    for (const auto& [revision, value] : seen) {
        CHECK(written[revision] == value);
    }
}

}  // namespace shoal::store::test
