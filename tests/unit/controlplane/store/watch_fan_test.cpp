#include "controlplane/store/watch_fan.h"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/store/limits.h"
#include "tests/unit/controlplane/node/manual_store.h"
#include "tests/unit/controlplane/store/store_client.h"

namespace shoal::store::test {

namespace {

struct Fanned : node::test::ManualStore {
    // From the next change on, or from an earlier one.
    std::unique_ptr<Watch> watch(const std::string& prefix, Watcher& watcher, Revision from = 0) {
        auto watch = fan.watch(prefix, from == 0 ? revision + 1 : from, watcher);
        REQUIRE(watch);
        loop.settle();
        return std::move(*watch);
    }
    void change(const std::string& key, const std::string& value) {
        store.commit({{}, {Put{key, value}}},
                     [this](const Result<Revision>& result) { revision = *result; });
        loop.settle();
    }

    WatchFan fan{loop, store};
    Revision revision = 1;  // of an empty store
};

struct Leaver final : Watcher {
    void on_changes(std::span<const Event>) override { leave(); }
    void on_compacted(Revision) override { leave(); }
    std::function<void()> leave;
};

}  // namespace

TEST_CASE("more watchers than a store has watches see the changes of their prefixes") {
    Fanned test;
    std::vector<Recorder> recorders(4 * max_watches);
    std::vector<std::unique_ptr<Watch>> watches;
    for (std::size_t at = 0; at < recorders.size(); ++at) {
        watches.push_back(test.watch(at % 2 == 0 ? "/a/" : "/", recorders[at]));
    }
    test.change("/a/x", "1");
    test.change("/b/x", "1");
    for (std::size_t at = 0; at < recorders.size(); ++at) {
        CHECK(recorders[at].events.size() == (at % 2 == 0 ? 1 : 2));
        CHECK(recorders[at].events[0].entry.key == "/a/x");
    }
}

TEST_CASE("whoever resumes is told what it has missed, once and in order") {
    Fanned test;
    Recorder first;
    const auto watch = test.watch("/", first);
    test.change("/a", "1");
    test.change("/a", "2");
    const Revision second = test.revision;

    SUBCASE("also when more comes before it could be told") {
        Recorder resumed;
        const auto late = test.fan.watch("/", second, resumed);
        REQUIRE(late);
        test.change("/a", "3");
        REQUIRE(resumed.events.size() == 2);
        CHECK(resumed.events[0].entry.value == "2");
        CHECK(resumed.events[1].entry.value == "3");
    }
    SUBCASE("also from before the shared watch") {
        Fanned other;
        other.change("/a", "1");
        const auto live = other.watch("/", first);
        Recorder resumed;
        const auto late = other.watch("/", resumed, 1);
        REQUIRE(resumed.events.size() == 1);
        CHECK(resumed.events[0].entry.value == "1");
    }
    SUBCASE("also what is no longer kept") {
        const std::string large(max_value_bytes, 'x');
        for (std::size_t at = 0; at <= max_kept_bytes / max_value_bytes; ++at) {
            test.change("/large", large);
        }
        Recorder resumed;
        const auto late = test.watch("/", resumed, second - 1);
        CHECK(resumed.events.size() == max_kept_bytes / max_value_bytes + 3);
        CHECK(resumed.events[0].entry.value == "1");
    }
    SUBCASE("and not what it began behind") {
        Recorder future;
        const auto late = test.watch("/", future, test.revision + 2);
        test.change("/a", "3");
        CHECK(future.events.empty());
        test.change("/a", "4");
        CHECK(future.events.size() == 1);
    }
}

TEST_CASE("a watcher whose changes are forgotten before it is told is to list again") {
    Fanned test;
    Recorder first;
    const auto watch = test.watch("/", first);
    test.change("/a", "1");
    const std::string large(max_value_bytes, 'x');
    for (std::size_t at = 0; at <= max_kept_bytes / max_value_bytes; ++at) {
        test.store.commit({{}, {Put{"/large", large}}}, [](const Result<Revision>&) {});
    }
    Recorder slow;
    const auto late = test.fan.watch("/", test.revision, slow);  // What was committed comes first.
    REQUIRE(late);
    test.loop.settle();
    CHECK(slow.events.empty());
    CHECK(slow.compacted.value_or(0) > 1);
    test.change("/a", "2");
    CHECK(slow.events.empty());
    CHECK(first.events.back().entry.value == "2");
}

TEST_CASE("a watcher may leave, and take others along, while it is told") {
    Fanned test;
    std::unique_ptr<Watch> one;
    std::unique_ptr<Watch> two;
    Recorder recorder;
    Leaver leaver;
    leaver.leave = [&] {
        one.reset();
        two.reset();
    };
    one = test.watch("/", leaver);
    two = test.watch("/", recorder);
    SUBCASE("a change") {
        test.change("/a", "1");
        CHECK(recorder.events.empty());
    }
    SUBCASE("that older changes are forgotten") {
        one.reset();
        two.reset();
        test.change("/a", "1");
        test.change("/a", "2");
        test.store.compact(test.revision, [](const Result<Revision>&) {});
        test.loop.settle();
        one = std::move(*test.fan.watch("/", test.revision - 1, leaver));
        two = std::move(*test.fan.watch("/", test.revision - 1, recorder));
        test.loop.settle();
        CHECK_FALSE(one);
        CHECK_FALSE(recorder.compacted);
    }
    // The shared watch begins anew.
    Recorder next;
    const auto watch = test.watch("/", next);
    test.change("/a", "3");
    CHECK(next.events.size() == 1);
}

TEST_CASE("a watch that outlives its fan is silent") {
    node::test::ManualStore test;
    Recorder recorder;
    std::unique_ptr<Watch> watch;
    {
        WatchFan fan{test.loop, test.store};
        watch = std::move(*fan.watch("/", 1, recorder));
    }
    test.put("/a", "1");
    CHECK(recorder.events.empty());
    watch.reset();
}

}  // namespace shoal::store::test
