// What is particular to the shared store: members that die, stop or start late, and TLS.
#include "controlplane/store/etcd_store.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "tests/unit/controlplane/store/etcd_cluster.h"
#include "tests/unit/controlplane/store/store_client.h"

namespace shoal::store::test {

namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds quickly{15};  // request_timeout, on a machine that is busy

// Puts until it works, and reads back what became of what is uncertain: as a caller must.
void put_until_done(StoreClient& client, const std::string& key, const std::string& value) {
    const auto deadline = steady_clock::now() + std::chrono::seconds{60};
    for (;;) {
        const auto made = client.put(key, value);
        if (made) {
            return;
        }
        const bool is_transient = made.error().failure == Failure::unavailable ||
                                  made.error().failure == Failure::uncertain;
        REQUIRE(is_transient);
        REQUIRE(steady_clock::now() < deadline);
    }
}

// A member that leads, found by asking each; the index in the cluster.
std::size_t leader_of(EtcdCluster& cluster) {
    // The gateway's /v3/maintenance/status names member and leader.
    boost::asio::io_context context;
    for (std::size_t i = 0; i < cluster.size(); ++i) {
        EtcdOptions options = cluster.options();
        options.endpoints = {cluster.endpoint(i)};
        EtcdClient client{context, options};
        std::string status;
        client.call("/v3/maintenance/status", "{}", etcd::Effect::reads,
                    [&](Result<EtcdAnswer> answer) { status = answer ? answer->body : "-"; });
        while (status.empty()) {
            context.restart();
            context.run_one_for(std::chrono::milliseconds{100});
        }
        const auto field = [&status](const std::string& name) {
            const auto at = status.find("\"" + name + "\":\"");
            REQUIRE(at != std::string::npos);
            const auto begin = at + name.size() + 4;
            return status.substr(begin, status.find('"', begin) - begin);
        };
        if (field("member_id") == field("leader")) {
            return i;
        }
    }
    FAIL("no member leads");
    return 0;
}

// Every value from 1 to `last` in order, none twice.
bool is_complete(const Recorder& recorder, int last) {
    int expected = 1;
    for (const Event& event : recorder.events) {
        if (event.entry.value != std::to_string(expected++)) {
            return false;
        }
    }
    return expected == last + 1;
}

}  // namespace

TEST_CASE("a store without a server is unavailable quickly, and heals when there is one") {
    EtcdCluster cluster{1};
    cluster.kill(0);
    EventLoopRunner runner;
    EtcdStore store{runner.context(), cluster.options()};
    StoreClient client{runner, store};
    Recorder recorder;
    const auto watch = client.watch("/", 1, recorder);

    const auto start = steady_clock::now();
    CHECK(failure_of(client.put("/a", "1")) == Failure::unavailable);
    CHECK(failure_of(client.get("/a")) == Failure::unavailable);
    CHECK(steady_clock::now() - start < quickly);

    cluster.start(0);
    wait_until_serving(runner, store);
    CHECK(client.put("/a", "1"));
    runner.run_until([&] { return recorder.events.size() == 1; });
}

TEST_CASE("watches and requests survive a server that is killed and comes back") {
    EtcdCluster cluster{1};
    EventLoopRunner runner;
    EtcdStore store{runner.context(), cluster.options()};
    wait_until_serving(runner, store);
    StoreClient client{runner, store};
    Recorder recorder;
    const auto watch = client.watch("/w/", 1, recorder);
    REQUIRE(client.put("/w/a", "1"));
    runner.run_until([&] { return recorder.events.size() == 1; });
    cluster.kill(0);
    CHECK(!client.put("/w/a", "lost"));
    cluster.start(0);
    wait_until_serving(runner, store);
    REQUIRE(client.put("/w/a", "2"));
    runner.run_until([&] { return recorder.events.size() == 2 && recorder.reconnect_count > 0; });
    CHECK(is_complete(recorder, 2));
}

TEST_CASE("a paused server is noticed, and all works again when it goes on") {
    EtcdCluster cluster{1};
    EventLoopRunner runner;
    EtcdStore store{runner.context(), cluster.options()};
    wait_until_serving(runner, store);
    StoreClient client{runner, store};
    cluster.pause(0);
    const auto start = steady_clock::now();
    // It may have been done: the connection takes it.
    const auto failure = failure_of(client.put("/a", "1"));
    const bool is_honest = failure == Failure::uncertain || failure == Failure::unavailable;
    CHECK(is_honest);
    CHECK(failure_of(client.get("/a")) == Failure::unavailable);
    CHECK(steady_clock::now() - start < quickly);
    cluster.resume(0);
    wait_until_serving(runner, store);
    put_until_done(client, "/a", "2");
    CHECK(client.value("/a") == "2");
}

TEST_CASE("three members go on when the leader is killed or paused, and no watch misses a change") {
    EtcdCluster cluster{3};
    EventLoopRunner runner;
    EtcdStore store{runner.context(), cluster.options()};
    wait_until_serving(runner, store);
    StoreClient client{runner, store};
    Recorder recorder;
    const auto watch = client.watch("/w/", 1, recorder);
    put_until_done(client, "/other", "1");
    REQUIRE(client.put("/w/a", "1"));

    const std::size_t leader = leader_of(cluster);
    SUBCASE("killed") {
        cluster.kill(leader);
    }
    SUBCASE("paused") {
        cluster.pause(leader);
    }
    const auto start = steady_clock::now();
    put_until_done(client, "/other", "2");
    MESSAGE("writes again after " << std::chrono::duration_cast<std::chrono::milliseconds>(
                                         steady_clock::now() - start)
                                         .count()
                                  << " ms");
    REQUIRE(client.put("/w/a", "2"));
    runner.run_until([&] { return recorder.events.size() >= 2; });
    cluster.resume(leader);
    REQUIRE(client.put("/w/a", "3"));
    runner.run_until([&] { return recorder.events.size() >= 3; });
    CHECK(is_complete(recorder, 3));
}

TEST_CASE("two members of three that are gone make the store unavailable until one is back") {
    EtcdCluster cluster{3};
    EventLoopRunner runner;
    EtcdStore store{runner.context(), cluster.options()};
    wait_until_serving(runner, store);
    StoreClient client{runner, store};
    put_until_done(client, "/a", "1");
    cluster.kill(0);
    cluster.kill(1);
    const auto start = steady_clock::now();
    CHECK(failure_of(client.get("/a")) == Failure::unavailable);
    CHECK(!client.put("/a", "2"));
    CHECK(steady_clock::now() - start < quickly);
    cluster.start(1);
    wait_until_serving(runner, store);
    put_until_done(client, "/a", "3");
    CHECK(client.value("/a") == "3");
}

TEST_CASE("TLS is mutual: each side proves who it is") {
    EtcdCluster cluster{1, EtcdCluster::Security::mutual_tls};
    EventLoopRunner runner;
    EtcdOptions options = cluster.options();
    {
        EtcdStore store{runner.context(), options};
        wait_until_serving(runner, store);
        StoreClient client{runner, store};
        Recorder recorder;
        const auto watch = client.watch("/", 1, recorder);
        REQUIRE(client.put("/a", "1"));
        CHECK(client.value("/a") == "1");
        runner.run_until([&] { return recorder.events.size() == 1; });
    }
    const auto is_refused = [&](const EtcdOptions& wrong) {
        EtcdStore store{runner.context(), wrong};
        StoreClient client{runner, store};
        return failure_of(client.get("/a")) == Failure::unavailable;
    };
    SUBCASE("a client without a certificate") {
        options.tls->certificate.clear();
        CHECK(is_refused(options));
    }
    SUBCASE("a server that another authority vouches for") {
        EtcdCluster other{1, EtcdCluster::Security::mutual_tls};
        options.tls->authority = other.options().tls->authority;
        CHECK(is_refused(options));
    }
    SUBCASE("a client that speaks plain TCP") {
        options.tls.reset();
        CHECK(is_refused(options));
    }
    SUBCASE("a server with another name") {
        options.endpoints[0].host = "localhost";
        CHECK(is_refused(options));
    }
    SUBCASE("a file that is not there") {
        options.tls->authority = "/none.pem";
        CHECK_THROWS_WITH(EtcdStore(runner.context(), options),
                          doctest::Contains("cannot use /none.pem"));
    }
}

}  // namespace shoal::store::test
