// What a host has on its disk, and what the store is told of it.
#include "controlplane/node/bundle_copies.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/template/template_folder.h"
#include "tests/unit/controlplane/node/manual_store.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::node::test {
namespace {

namespace fs = std::filesystem;
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

}  // namespace shoal::node::test
