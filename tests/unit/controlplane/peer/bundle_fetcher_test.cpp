// Templates that come from another host, over a real socket.
#include "controlplane/peer/bundle_fetcher.h"

#include <doctest/doctest.h>

#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "controlplane/peer/bundle_routes.h"
#include "controlplane/peer/server.h"
#include "controlplane/template/template_folder.h"
#include "tests/unit/controlplane/store/event_loop_runner.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::peer::test {
namespace {

namespace fs = std::filesystem;

// One host that has a template, h1, and one that does not.
struct Hosts {
    Hosts()
        : server{runner.context(), "127.0.0.1", 0, nullptr,
                 [this](const rest::Request& request, rest::Respond respond) {
                     ++request_count;
                     api.handle(request, std::move(respond));
                 }} {
        add_bundle_files(api, files);
        const std::string partial = there.make_partial();
        std::ofstream{templates::state_in(partial)} << "the state";
        std::ofstream{templates::memory_in(partial)} << std::string(100'000, 'm');
        digest = there.adopt(partial);
        fetcher.on_fetched([this] { ++fetched_count; });
        server.start();
    }
    [[nodiscard]] Peer h1() const { return {"h1", server.address()}; }
    std::string wait_for_failure() {
        std::string said;
        runner.run_until([&] {
            said = fetcher.fetch(digest, {h1()});
            return said.starts_with("it cannot be fetched: ");
        });
        return said;
    }
    [[nodiscard]] bool has_any() const { return !fs::is_empty(scratch.file("here")); }

    store::test::ScratchFolder scratch;
    store::test::EventLoopRunner runner;
    boost::asio::thread_pool workers{1};
    content::BundleFolder there{templates::bundle_kind, scratch.file("there")};
    content::BundleFolder here{templates::bundle_kind, scratch.file("here")};
    BundleFiles files{runner.context(), workers, there};
    rest::Api api;
    int request_count = 0;
    int fetched_count = 0;
    Server server;
    Client client{runner.context(), nullptr};
    BundleFetcher fetcher{runner.context(), workers, here, client};
    std::string digest;
};

}  // namespace

TEST_CASE("a template comes once, however many wait for it, from whoever has it") {
    Hosts hosts;
    const Peer absent{"h0", "127.0.0.1:1"};
    CHECK(hosts.fetcher.fetch(hosts.digest, {absent, hosts.h1()}) ==
          "it is being fetched from host h0");
    hosts.runner.run_until([&] {
        const std::string said = hosts.fetched_count == 0
                                     ? hosts.fetcher.fetch(hosts.digest, {hosts.h1()})
                                     : "it is being fetched from host h1";
        CHECK(said.starts_with("it is being fetched from host h"));
        return hosts.fetched_count == 1;
    });
    CHECK(hosts.request_count == 2);  // one for each file
    CHECK(hosts.here.has(hosts.digest));
    CHECK(content::digest_of(templates::bundle_kind, hosts.here.path_of(hosts.digest)) ==
          hosts.digest);
}

TEST_CASE("a template that comes damaged, in part or not at all is not there") {
    Hosts hosts;
    const std::string folder = hosts.there.path_of(hosts.digest);
    SUBCASE("damaged") {
        std::ofstream{templates::memory_in(folder)} << "other";
        CHECK(hosts.wait_for_failure().find("h1: the files' SHA-256 is ") != std::string::npos);
    }
    SUBCASE("in part") {
        fs::remove(templates::memory_in(folder));
        CHECK(hosts.wait_for_failure().find("host h1: cannot open ") != std::string::npos);
    }
    SUBCASE("a link to somewhere else") {
        fs::remove(templates::memory_in(folder));
        fs::create_symlink("/etc/passwd", templates::memory_in(folder));
        CHECK(hosts.wait_for_failure().find("host h1: cannot open ") != std::string::npos);
    }
    SUBCASE("nobody has it") {
        CHECK(hosts.fetcher.fetch(hosts.digest, {}) == "no host that has it can be asked");
    }
    CHECK(!hosts.has_any());
    CHECK(hosts.fetched_count == 0);
}

}  // namespace shoal::peer::test
