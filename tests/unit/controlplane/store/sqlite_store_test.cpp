// What is particular to the store in a file: damage, full disks, backups, restarts.
#include "controlplane/store/sqlite_store.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "controlplane/store/limits.h"
#include "controlplane/store/sqlite_engine.h"
#include "tests/unit/controlplane/store/scratch_folder.h"
#include "tests/unit/controlplane/store/store_client.h"

namespace shoal::store::test {

namespace {

struct Opened {
    Opened(EventLoopRunner& runner, const SqliteOptions& options)
        : store{runner.loop(), options}, client{runner, store} {}

    SqliteStore store;
    StoreClient client;
};

std::string refusal(EventLoopRunner& runner, const SqliteOptions& options) {
    try {
        const SqliteStore store{runner.loop(), options};
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "opened";
}

}  // namespace

TEST_CASE("a reopened file has its keys, revisions and leases") {
    const ScratchFolder folder;
    const SqliteOptions options{folder.file("store")};
    EventLoopRunner runner;
    Revision last = 0;
    LeaseId lease = 0;
    {
        Opened opened{runner, options};
        lease = *opened.client.grant(min_lease);
        REQUIRE(opened.client.put("/a", "1", lease));
        REQUIRE(opened.client.put("/b", "1"));
        last = *opened.client.remove("/b");
        CHECK(opened.client.compact(last) == last);  // Nothing of the newest revision is left.
    }
    Opened opened{runner, options};
    CHECK(opened.client.get("/a")->revision == last);
    CHECK(opened.client.value("/a") == "1");
    CHECK(failure_of(opened.client.list({.prefix = "/", .revision = last - 1})) ==
          Failure::compacted);
    Recorder recorder;
    const auto watch = opened.client.watch("/", last + 1, recorder);
    runner.run_until([&] { return recorder.events.size() == 1; });  // Its lease ends.
    CHECK(recorder.events[0].kind == Event::Kind::deleted);
    CHECK(recorder.events[0].entry.mod_revision == last + 1);
    CHECK(*opened.client.grant(min_lease) > lease);
}

TEST_CASE("a file that is damaged, newer, in use or no database is refused in one sentence") {
    const ScratchFolder folder;
    const SqliteOptions options{folder.file("store")};
    EventLoopRunner runner;
    {
        Opened opened{runner, options};
        for (int i = 0; i < 50; ++i) {
            REQUIRE(opened.client.put("/" + std::to_string(i), std::string(2000, 'x')));
        }
        CHECK(refusal(runner, options).contains("locked"));
    }
    SUBCASE("damaged") {
        std::fstream file{options.path, std::ios::in | std::ios::out | std::ios::binary};
        for (int page = 2; page < 12; ++page) {
            file.seekp(page * 4096);
            file << std::string(200, '\xaa');
        }
        file.close();
        CHECK(refusal(runner, options).contains(options.path));
    }
    SUBCASE("newer") {
        SqliteDatabase{options.path}.execute("PRAGMA user_version = 2");
        CHECK(refusal(runner, options).contains("version 2"));
    }
    SUBCASE("no database") {
        std::ofstream{options.path} << std::string(5000, 'x');
        CHECK(refusal(runner, options).contains("not a database"));
    }
    SUBCASE("no folder") {
        CHECK(refusal(runner, {folder.file("none/store")}).contains("unable to open"));
    }
}

TEST_CASE("a full file refuses writes, serves reads, and loses nothing") {
    const ScratchFolder folder;
    SqliteOptions options{folder.file("store")};
    options.max_pages = 100;
    EventLoopRunner runner;
    std::map<std::string, std::string> kept;
    {
        Opened opened{runner, options};
        std::optional<Failure> failure;
        for (int i = 0; !failure; ++i) {
            REQUIRE(i < 1000);
            const std::string key = "/" + std::to_string(i);
            const std::string value(3000, static_cast<char>('a' + i % 26));
            const auto put = opened.client.put(key, value);
            failure = failure_of(put);
            if (put) {
                kept[key] = value;
            }
        }
        CHECK(failure == Failure::no_space);
        CHECK(!kept.empty());
        for (const auto& [key, value] : kept) {
            CHECK(opened.client.value(key) == value);
        }
        CHECK(opened.client.list({.prefix = "/"})->entries.size() == kept.size());
    }
    options.max_pages = 1000;
    Opened opened{runner, options};
    for (const auto& [key, value] : kept) {
        CHECK(opened.client.value(key) == value);
    }
    CHECK(opened.client.put("/more", std::string(3000, 'x')));
}

TEST_CASE("a large request does not take small ones down with it when the file is full") {
    const ScratchFolder folder;
    SqliteOptions options{folder.file("store")};
    options.max_pages = 60;
    EventLoopRunner runner;
    Opened opened{runner, options};
    std::vector<std::optional<Failure>> outcomes;
    const auto record = [&](const Result<Revision>& made) { outcomes.push_back(failure_of(made)); };
    opened.store.put({"/small", "1"}, record);
    opened.store.put({"/large", std::string(max_value_bytes, 'x')}, record);
    opened.store.put({"/small", "2"}, record);
    runner.run_until([&] { return outcomes.size() == 3; });
    CHECK(outcomes[0] == std::nullopt);
    CHECK(outcomes[1] == Failure::no_space);
    CHECK(outcomes[2] == std::nullopt);
    CHECK(opened.client.value("/small") == "2");
    CHECK(opened.client.value("/large") == "(absent)");
}

TEST_CASE("a backup is a store of its own, whole or not there") {
    const ScratchFolder folder;
    EventLoopRunner runner;
    Opened opened{runner, {folder.file("store")}};
    const auto revision = opened.client.put("/a", "1");
    const auto back_up = [&](const std::string& path) {
        return runner.await<Revision>(
            [&](Handler<Revision> handler) { opened.store.backup(path, std::move(handler)); });
    };
    CHECK(back_up(folder.file("copy")) == *revision);
    REQUIRE(opened.client.put("/a", "2"));
    {
        Opened copy{runner, {folder.file("copy")}};
        CHECK(copy.client.value("/a") == "1");
        CHECK(copy.client.get("/a")->revision == *revision);
    }
    CHECK(back_up(folder.file("copy")) == *revision + 1);  // Replaces the one before.
    CHECK(failure_of(back_up(folder.file("none/copy"))) == Failure::unavailable);
    CHECK(!std::filesystem::exists(folder.file("copy.partial")));
    Opened copy{runner, {folder.file("copy")}};
    CHECK(copy.client.value("/a") == "2");
    CHECK(opened.client.put("/a", "3"));
}

TEST_CASE("a backup is never written over the store itself") {
    const ScratchFolder folder;
    EventLoopRunner runner;
    Opened opened{runner, {folder.file("store")}};
    REQUIRE(opened.client.put("/a", "1"));
    std::string path = folder.file("store");
    SUBCASE("its path") {}
    SUBCASE("its log") {
        path += "-wal";
    }
    SUBCASE("another way to its path") {
        path = folder.file("./store");
    }
    SUBCASE("a link") {
        path = folder.file("link");
        std::filesystem::create_symlink(folder.file("store"), path);
    }
    const auto answer = runner.await<Revision>(
        [&](Handler<Revision> handler) { opened.store.backup(path, std::move(handler)); });
    CHECK(failure_of(answer) == Failure::invalid);
    CHECK(answer.error().reason.find("is the store itself") != std::string::npos);
    REQUIRE(opened.client.put("/a", "2"));
    CHECK(opened.client.value("/a") == "2");
}

TEST_CASE("what fails outside of a transaction undoes none before it") {
    const ScratchFolder folder;
    SqliteEngine engine{{folder.file("store")}};
    engine.begin();
    const auto revision = engine.apply(Transaction{{}, {Put{"/a", "1"}}});
    REQUIRE(revision);
    engine.commit();
    engine.rollback();  // as after a failure to read or to compact
    CHECK(engine.revision() == *revision);
    engine.begin();
    CHECK(engine.apply(Transaction{{}, {Put{"/a", "2"}}}) == *revision + 1);
    engine.rollback();
    CHECK(engine.revision() == *revision);
}

TEST_CASE("old revisions are forgotten by themselves, and a late watch is told") {
    const ScratchFolder folder;
    SqliteOptions options{folder.file("store")};
    options.kept_revisions = 20;
    EventLoopRunner runner;
    Opened opened{runner, options};
    for (int i = 0; i < 100; ++i) {
        REQUIRE(opened.client.put("/a", std::to_string(i)));
    }
    Recorder recorder;
    const auto watch = opened.client.watch("/", 2, recorder);
    runner.run_until([&] { return recorder.compacted.has_value(); });
    CHECK(*recorder.compacted > 70);
    CHECK(opened.client.value("/a") == "99");
}

TEST_CASE("more requests than may wait are refused, and each is answered") {
    const ScratchFolder folder;
    EventLoopRunner runner;
    Opened opened{runner, {folder.file("store")}};
    std::size_t answered = 0;
    std::size_t refused = 0;
    const std::size_t count = 4 * max_pending_requests;
    for (std::size_t i = 0; i < count; ++i) {
        opened.store.put({"/a", std::string(4096, 'x')}, [&](const Result<Revision>& made) {
            ++answered;
            refused += failure_of(made) == Failure::unavailable ? 1U : 0U;
        });
    }
    runner.run_until([&] { return answered == count; });
    CHECK(refused > 0);
    CHECK(refused < count);
}

}  // namespace shoal::store::test
