#include "controlplane/failover/folder_follower.h"

#include <doctest/doctest.h>

#include <map>

#include "tests/unit/controlplane/failover/failover_fixture.h"

using namespace shoal;
using namespace shoal::failover;
using namespace shoal::failover::test;

namespace {

struct Contents final : FolderListener {
    std::map<std::string, std::string> entries;
    int told = 0;
    int gone = 0;
    int synced = 0;

    void on_entry(const std::string& name, const store::Entry& entry) override {
        entries[name] = entry.value;
        ++told;
    }
    void on_gone(const std::string& name) override {
        CHECK(entries.erase(name) == 1);
        ++gone;
    }
    void on_synced() override { ++synced; }
};

// Has listed /a/1 and /a/2, and lists again, of which nothing comes through yet.
struct Outage {
    Outage() {
        bench.put("/a/1", "one");
        bench.put("/a/2", "two");
        follower.list();
        bench.run(1s);
        lossy.loss = LossyStore::Loss::requests;
        follower.list();
    }
    void end() {
        lossy.loss = LossyStore::Loss::nothing;
        bench.run(1s);
    }

    Bench bench;
    LossyStore lossy{bench};
    Contents contents;
    FolderFollower follower{bench.loop, lossy, "/a/", contents};
};

}  // namespace

TEST_CASE("a follower tells what is there, then what changes, and nothing of other folders") {
    Bench bench;
    bench.put("/a/1", "one");
    bench.put("/b/1", "other");
    Contents contents;
    FolderFollower follower{bench.loop, bench.store, "/a/", contents};
    follower.list();
    bench.run(1s);
    CHECK(contents.entries == std::map<std::string, std::string>{{"1", "one"}});
    CHECK(contents.synced == 1);
    bench.put("/a/2", "two");
    bench.put("/b/2", "other");
    bench.remove("/a/1");
    CHECK(contents.entries == std::map<std::string, std::string>{{"2", "two"}});
    CHECK(follower.revision_of("1") == 0);
    CHECK(follower.revision_of("2") > 0);
}

TEST_CASE("more than a page is listed whole") {
    Bench bench;
    for (int i = 0; i < 2500; ++i) {
        bench.put("/a/" + std::to_string(i), "x");
    }
    Contents contents;
    FolderFollower follower{bench.loop, bench.store, "/a/", contents};
    follower.list();
    bench.run(1s);
    CHECK(contents.entries.size() == 2500);
}

TEST_CASE("listing again tells only what is new or gone") {
    Outage outage;
    outage.bench.put("/a/3", "three");
    outage.bench.remove("/a/1");
    outage.bench.run(1s);
    CHECK_FALSE(outage.follower.is_synced());
    outage.end();
    CHECK(outage.follower.is_synced());
    CHECK(outage.contents.entries ==
          std::map<std::string, std::string>{{"2", "two"}, {"3", "three"}});
    CHECK(outage.contents.told == 3);
}

TEST_CASE("what was deleted and made again while nobody looked is gone, then new") {
    Outage outage;
    outage.bench.remove("/a/1");
    outage.bench.put("/a/1", "another");
    outage.bench.put("/a/2", "changed");
    outage.end();
    CHECK(outage.contents.entries ==
          std::map<std::string, std::string>{{"1", "another"}, {"2", "changed"}});
    CHECK(outage.contents.gone == 1);
    CHECK(outage.contents.told == 4);
}
