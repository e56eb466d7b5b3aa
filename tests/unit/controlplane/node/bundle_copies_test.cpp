// What a host has on its disk, and what the store is told of it.
#include "controlplane/node/bundle_copies.h"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/template/template_folder.h"
#include "tests/unit/controlplane/node/manual_store.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::node::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
namespace keys = model::keys;

struct Rig : ManualStore {
    Rig() {
        mirror.start([](const store::Result<store::Revision>&) {});
        loop.settle();
        mirror.add_listener(copies);
    }
    ~Rig() { mirror.remove_listener(copies); }

    // Its digest.
    std::string make_files(const std::string& state) {
        const std::string partial = folder.make_partial();
        std::ofstream{templates::state_in(partial)} << state;
        std::ofstream{templates::memory_in(partial)} << "memory";
        return folder.adopt(partial);
    }
    void want(const std::string& digest) {
        model::Template wanted;
        wanted.name = "t";
        wanted.digest = digest;
        wanted.program = "/bin/true";
        wanted.memory_mib = 32;
        put(keys::of(keys::templates, "t"), model::to_json(wanted));
    }
    static std::map<std::string, std::string> digests_of(const Objects& objects) {
        std::map<std::string, std::string> digests;
        for (const auto& [name, entry] : objects.templates) {
            digests[name] = entry.body.digest;
        }
        return digests;
    }
    // Which digest the store knows of here.
    std::optional<std::string> told() {
        std::optional<std::string> digest;
        store.get(key, [&digest](const store::Result<store::Lookup>& lookup) {
            if (lookup->entry) {
                digest = model::from_json<model::BundleCopy>(lookup->entry->value).digest;
            }
        });
        loop.settle();
        return digest;
    }

    const std::string key = keys::of(keys::copies, "h1", "t");
    store::test::ScratchFolder scratch;
    content::BundleFolder folder{templates::bundle_kind, scratch.file("templates")};
    Mirror mirror{loop, store};
    int collected = 0;
    BundleCopies copies{loop, store, mirror, "h1", {{folder, digests_of, [this] { ++collected; }}}};
};

}  // namespace

TEST_CASE("the store is told of a template's files once they are here, and when they are not") {
    Rig rig;
    const std::string digest = rig.make_files("state");
    rig.want(digest);
    CHECK(rig.told() == digest);
    fs::remove_all(rig.folder.path_of(digest));
    rig.copies.look_soon();
    rig.loop.settle();
    CHECK(!rig.told());
}

TEST_CASE("a template that was made anew is told of by its new files") {
    Rig rig;
    rig.want(rig.make_files("old"));
    const std::string digest = rig.make_files("new");
    rig.want(digest);
    CHECK(rig.told() == digest);
    rig.want(std::string(64, '0'));  // whose files are elsewhere
    CHECK(!rig.told());
}

TEST_CASE("of a template that is gone no copy is told, and its files are collected") {
    Rig rig;
    rig.want(rig.make_files("state"));
    const int before = rig.collected;
    rig.commit({{}, {store::Delete{keys::of(keys::templates, "t")}}});
    CHECK(!rig.told());
    CHECK(rig.collected > before);
}

namespace {

// Copies that other hosts have, too, and what microVMs use.
struct IdleRig : Rig {
    IdleRig() {
        digest = make_files("state");
        want(digest);
        for (const char* host : {"h2", "h3"}) {
            put(keys::of(keys::copies, host, "t"), model::to_json(model::BundleCopy{digest}));
        }
        copies.watch_idle();
    }

    void beat(const std::string& host) {
        put(keys::of(keys::heartbeats, host), model::to_json(model::Heartbeat{1, ++beats}));
    }
    // Others live meanwhile.
    void pass(std::chrono::minutes time, const std::vector<std::string>& alive = {"h2", "h3"}) {
        for (; time > 0min; time -= 1min) {
            loop.advance(30s);
            for (const std::string& host : alive) {
                beat(host);
            }
            loop.advance(30s);
        }
    }
    void start(const std::string& name, const std::string& host, const std::string& of = "t") {
        model::MicroVmSpec spec;
        spec.name = name;
        spec.from_template = of;
        commit({{},
                {store::Put{keys::of(keys::microvms, name), model::to_json(spec)},
                 store::Put{keys::of(keys::placements, name),
                            model::to_json(model::Placement{host, 0})}}});
    }
    void end(const std::string& name) {
        model::MicroVmStatus status;
        status.phase = model::Phase::succeeded;
        put(keys::of(keys::statuses, "h1", name), model::to_json(status));
    }
    bool is_here() { return folder.has(digest); }

    std::string digest;
    std::uint64_t beats = 0;
};

}  // namespace

TEST_CASE("a copy that nothing here has used for an hour goes, where two others have it") {
    IdleRig rig;
    rig.pass(50min);
    CHECK(rig.is_here());
    rig.pass(20min);
    CHECK(!rig.is_here());
    CHECK(!rig.told());
}

TEST_CASE("a copy stays for an hour after it was used here, however shortly") {
    IdleRig rig;
    rig.pass(45min);
    rig.start("a", "h1");
    rig.end("a");
    rig.pass(45min);
    CHECK(rig.is_here());
    rig.pass(35min);
    CHECK(!rig.is_here());
}

TEST_CASE("a copy that a microVM here runs on stays; what runs elsewhere does not count") {
    IdleRig rig;
    SUBCASE("here") {
        rig.start("a", "h1");
        rig.pass(300min);
        CHECK(rig.is_here());
        CHECK(rig.told() == rig.digest);
    }
    SUBCASE("elsewhere") {
        rig.start("a", "h2");
        rig.pass(80min);
        CHECK(!rig.is_here());
    }
}

TEST_CASE("a copy stays where fewer than two others that live have it") {
    IdleRig rig;
    SUBCASE("one has gone") {
        rig.commit({{}, {store::Delete{keys::of(keys::copies, "h3", "t")}}});
        rig.pass(200min);
    }
    SUBCASE("one has other files") {
        rig.put(keys::of(keys::copies, "h3", "t"),
                model::to_json(model::BundleCopy{std::string(64, '0')}));
        rig.pass(200min);
    }
    SUBCASE("one is silent") {
        rig.pass(200min, {"h2"});
    }
    CHECK(rig.is_here());
    CHECK(rig.told() == rig.digest);
}

TEST_CASE("of files that two names have both must be idle") {
    IdleRig rig;
    model::Template other;
    other.name = "u";
    other.digest = rig.digest;
    other.program = "/bin/true";
    other.memory_mib = 32;
    rig.put(keys::of(keys::templates, "u"), model::to_json(other));
    for (const char* host : {"h2", "h3"}) {
        rig.put(keys::of(keys::copies, host, "u"), model::to_json(model::BundleCopy{rig.digest}));
    }
    rig.start("a", "h1", "u");
    rig.pass(200min);
    CHECK(rig.is_here());
    rig.end("a");
    rig.pass(80min);
    CHECK(!rig.is_here());
}

TEST_CASE("of hosts that drop their copies at the same time two keep them") {
    IdleRig rig;
    rig.pass(65min, {"h2"});
    rig.beat("h3");
    // h2 has just dropped its own, and this host does not know yet.
    rig.store.commit({{}, {store::Delete{keys::of(keys::copies, "h2", "t")}}},
                     [](const store::Result<store::Revision>&) {});
    rig.copies.watch_idle();
    rig.pass(60min);
    CHECK(rig.is_here());
    CHECK(rig.told() == rig.digest);
}

}  // namespace shoal::node::test
