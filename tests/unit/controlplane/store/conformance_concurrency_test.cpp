// What every store must do, whatever it is made of: many at once.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "tests/unit/controlplane/store/conformance.h"

namespace shoal::store::test {

namespace {

Transaction swap(const std::string& key, Revision expected, const std::string& value) {
    return {{{key, expected}}, {Put{key, value}}};
}

}  // namespace

TEST_CASE_TEMPLATE("compare-and-swap by many writers loses nothing", Kind, FANNED_STORE_KINDS) {
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

TEST_CASE_TEMPLATE("a history of concurrent writes and reads is linearizable", Kind,
                   FANNED_STORE_KINDS) {
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
