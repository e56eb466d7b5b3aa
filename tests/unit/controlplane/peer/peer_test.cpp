// Client and server over a real socket, with real certificates.
#include <doctest/doctest.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/api/api.h"
#include "controlplane/content/file_source.h"
#include "controlplane/content/save.h"
#include "controlplane/content/sha256.h"
#include "controlplane/http/problem.h"
#include "controlplane/peer/client.h"
#include "controlplane/peer/server.h"
#include "tests/unit/controlplane/peer/certificates.h"
#include "tests/unit/controlplane/store/event_loop_runner.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::peer::test {
namespace {

namespace fs = std::filesystem;
using rest::Request;
using rest::Respond;
using rest::Response;

std::string digest_of(const std::string& bytes) {
    content::Sha256 sha;
    sha.add(bytes);
    return sha.finish();
}

// Longer than a piece, with a hole in it, and no multiple of anything.
std::string long_content() {
    std::string bytes(1'000'000, 'a');
    bytes += std::string(2'000'000, '\0');
    return bytes + "the end";
}

std::string read_file(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

Request request_of(const std::string& method, std::vector<std::string> path) {
    Request request;
    request.method = method;
    request.path = std::move(path);
    return request;
}

// Two hosts: one that is asked, h1, and one that asks.
struct Hosts {
    explicit Hosts(Tls server_tls = nullptr, Tls client_tls = nullptr)
        : client{runner.context(), std::move(client_tls)} {
        add_files();
        server.emplace(
            runner.context(), "127.0.0.1", 0, std::move(server_tls),
            [this](const Request& request, Respond respond) {
                api.handle(request, std::move(respond));
            },
            [this](const std::string& host) { return host != deleted; });
        server->start();
    }

    // PUT and GET of files in `scratch`.
    void add_files() {
        api.add("PUT", "/v1/files/*", [this](const Request& request, Respond respond) {
            content::save(runner.context(), workers, request.source, scratch.file(request.path[2]),
                          [respond = std::move(respond)](const content::Saved& saved) mutable {
                              respond({saved.problem ? 500U : 201U, saved.sha256});
                          });
        });
        api.add("GET", "/v1/files/*", [this](const Request& request, Respond respond) {
            Response response;
            response.source = std::make_shared<content::FileSource>(runner.context(), workers,
                                                                    scratch.file(request.path[2]));
            respond(std::move(response));
        });
    }
    Response send(const Request& request, const std::string& host = "h1", Patience patience = {}) {
        std::optional<Response> answer;
        client.send({host, server->address()}, request, patience,
                    [&answer](Response response) { answer = std::move(response); });
        runner.run_until([&answer] { return answer.has_value(); });
        return std::move(*answer);
    }
    Response put(const std::string& name, const std::string& bytes) {
        const std::string path = scratch.file("to-send");
        std::ofstream{path, std::ios::binary} << bytes;
        Request request = request_of("PUT", {"v1", "files", name});
        request.source = std::make_shared<content::FileSource>(runner.context(), workers, path);
        return send(request);
    }
    content::Saved save(std::shared_ptr<rest::Source> source, std::string path) {
        std::optional<content::Saved> result;
        content::save(runner.context(), workers, std::move(source), std::move(path),
                      [&result](const content::Saved& saved) { result = saved; });
        runner.run_until([&result] { return result.has_value(); });
        return *result;
    }

    store::test::ScratchFolder scratch;
    store::test::EventLoopRunner runner;
    boost::asio::thread_pool workers{1};
    rest::Api api;
    std::string deleted;  // a host that is not of the cluster any more
    std::optional<Server> server;
    Client client;
};

// As much as is asked for.
class Endless final : public rest::Source {
public:
    Endless(store::EventLoop& loop, std::size_t& count) : loop_{loop}, count_{count} {}
    void next(Handler handler) override {
        ++count_;
        loop_.post([handler = std::move(handler)]() mutable { handler(std::string(65536, 'x')); });
    }

private:
    store::EventLoop& loop_;
    std::size_t& count_;
};

// An answer that has no end; `count`: of its pieces so far.
Response ask_for_endless(Hosts& hosts, std::size_t& count) {
    hosts.api.add("GET", "/v1/endless", [&](const Request&, Respond respond) {
        Response response;
        response.source = std::make_shared<Endless>(hosts.runner.loop(), count);
        respond(std::move(response));
    });
    return hosts.send(request_of("GET", {"v1", "endless"}));
}

}  // namespace

TEST_CASE("a file goes to another host and comes back, over TLS") {
    store::test::ScratchFolder keys;
    const Tls one = make_tls(make_certificate(keys.file(""), "ca", "h1"));
    const Tls two = make_tls(make_certificate(keys.file(""), "ca", "h2"));
    Hosts hosts{one, two};
    const std::string bytes = long_content();
    const std::string digest = digest_of(bytes);
    const Response put = hosts.put("there", bytes);
    CHECK(put.status == 201);
    CHECK(put.body == digest);
    CHECK(read_file(hosts.scratch.file("there")) == bytes);
    const Response answer = hosts.send(request_of("GET", {"v1", "files", "there"}));
    REQUIRE(answer.source);
    const content::Saved saved = hosts.save(answer.source, hosts.scratch.file("got"));
    CHECK(!saved.problem);
    CHECK(saved.sha256 == digest);
    CHECK(saved.size_bytes == bytes.size());
    CHECK(read_file(hosts.scratch.file("got")) == bytes);
}

TEST_CASE("a host that was deleted is no peer, though its certificate is good") {
    store::test::ScratchFolder keys;
    const Tls one = make_tls(make_certificate(keys.file(""), "ca", "h1"));
    Hosts hosts{one, make_tls(make_certificate(keys.file(""), "ca", "h2"))};
    std::size_t asked = 0;
    hosts.api.add("GET", "/v1/secret", [&asked](const Request&, Respond respond) {
        ++asked;
        respond({200, "{}"});
    });
    CHECK(hosts.send(request_of("GET", {"v1", "secret"})).status == 200);
    hosts.deleted = "h2";
    CHECK(hosts.send(request_of("GET", {"v1", "secret"})).status == 502);
    CHECK(asked == 1);
}

TEST_CASE("a host with another name, of another authority, or with no certificate is no peer") {
    store::test::ScratchFolder keys;
    const Tls one = make_tls(make_certificate(keys.file(""), "ca", "h1"));
    Tls asking;
    std::string name = "h1";
    SUBCASE("the name") {
        asking = make_tls(make_certificate(keys.file(""), "ca", "h2"));
        name = "h3";
    }
    SUBCASE("the authority of who asks") {
        store::TlsFiles files = make_certificate(keys.file(""), "other", "h2");
        files.authority = keys.file("ca.pem");
        asking = make_tls(files);
    }
    SUBCASE("the authority of who is asked") {
        asking = make_tls(make_certificate(keys.file(""), "other", "h2"));
    }
    SUBCASE("no certificate") {
        asking = std::make_shared<boost::asio::ssl::context>(boost::asio::ssl::context::tlsv13);
    }
    SUBCASE("no TLS") {}
    Hosts hosts{one, asking};
    hosts.api.add("GET", "/v1/secret", [](const Request&, Respond) { FAIL("it was let in"); });
    const Response answer = hosts.send(request_of("GET", {"v1", "secret"}), name);
    CHECK(answer.status == 502);
    CHECK(answer.body.find("host " + name + " at 127.0.0.1:") != std::string::npos);
}

TEST_CASE("a host that refuses a body need not read it") {
    Hosts hosts;
    hosts.api.add("PUT", "/v1/refused", [](const Request&, Respond respond) {
        respond(to_response(rest::Problem{409, "no"}));
    });
    std::size_t count = 0;
    Request request = request_of("PUT", {"v1", "refused"});
    request.source = std::make_shared<Endless>(hosts.runner.loop(), count);
    CHECK(hosts.send(request).status == 409);
}

TEST_CASE("a reader that takes nothing holds up who writes") {
    Hosts hosts;
    std::size_t count = 0;
    Response answer = ask_for_endless(hosts, count);
    REQUIRE(answer.source);
    // Until the sockets' buffers are full: nothing is left to do.
    std::size_t before = 0;
    do {
        before = count;
        for (int i = 0; i < 10'000 && hosts.runner.context().poll_one() > 0; ++i) {
        }
        hosts.runner.context().restart();
    } while (count > before);
    const std::size_t held_up = count;
    bool got = false;
    for (std::size_t i = 0; i < 100 * held_up && count == held_up; ++i) {
        got = false;
        answer.source->next([&got](const std::optional<std::string>& piece) {
            CHECK(piece);
            got = true;
        });
        hosts.runner.run_until([&got] { return got; });
    }
    CHECK(count > held_up);
    const std::weak_ptr<rest::Source> gone = answer.source;
    answer.source.reset();
    CHECK(gone.expired());
}

TEST_CASE("a host that dies in the middle of an answer is told from its end") {
    store::test::ScratchFolder scratch;
    Hosts hosts;
    std::size_t count = 0;
    Response answer = ask_for_endless(hosts, count);
    REQUIRE(answer.source);
    std::optional<content::Saved> result;
    content::save(hosts.runner.context(), hosts.workers, std::move(answer.source),
                  scratch.file("x"), [&result](const content::Saved& saved) { result = saved; });
    hosts.runner.run_until([&count] { return count > 20; });
    hosts.server.reset();  // all of its connections end
    hosts.runner.run_until([&result] { return result.has_value(); });
    REQUIRE(result->problem);
    CHECK(std::string{result->problem->what()}.find("host h1 at") == 0);
    CHECK(!fs::exists(scratch.file("x")));
    CHECK(fs::is_empty(fs::path{scratch.file("x")}.parent_path()));
}

TEST_CASE("a host that is not there, or never answers, is given up") {
    Hosts hosts;
    hosts.api.add("GET", "/v1/never",
                  [kept = std::make_shared<std::vector<Respond>>()](
                      const Request&, Respond respond) { kept->push_back(std::move(respond)); });
    const Response late =
        hosts.send(request_of("GET", {"v1", "never"}), "h1", {std::chrono::seconds{1}});
    CHECK(late.status == 504);
    CHECK(late.body.find("has not answered within 1 s") != std::string::npos);
    for (const char* address : {"127.0.0.1:1", "", "127.0.0.1", "127.0.0.1:70000", "h1:1"}) {
        CAPTURE(address);
        std::optional<Response> answer;
        hosts.client.send({"h1", address}, request_of("GET", {"v1"}), {},
                          [&answer](Response response) { answer = std::move(response); });
        hosts.runner.run_until([&answer] { return answer.has_value(); });
        CHECK(answer->status == 502);
    }
}

namespace {

// A connection that another host has upgraded, and the guest's end of it.
struct Tunnel {
    explicit Tunnel(Hosts& hosts) : guest{hosts.runner.context()}, runner{hosts.runner} {
        hosts.api.add("POST", "/v1/tunnel", [&](const Request& request, Respond respond) {
            CHECK(request.headers.at("upgrade") == "x/1");
            Socket end{hosts.runner.context()};
            boost::asio::local::connect_pair(guest, end);
            Response response;
            response.status = 101;
            response.headers["Upgrade"] = "x/1";
            response.body = "early ";
            response.upgraded = std::make_shared<rest::Stream>(std::move(end));
            respond(std::move(response));
        });
        Request request = request_of("POST", {"v1", "tunnel"});
        request.headers["upgrade"] = "x/1";
        Response answer = hosts.send(request);
        REQUIRE(answer.status == 101);
        CHECK(answer.headers.at("Upgrade") == "x/1");
        client = std::move(answer.upgraded);
        REQUIRE(client);
        heard = std::move(answer.body);
    }

    // Until the other end has all of it.
    template <typename From, typename To>
    void pass(From& from, To& to, const std::string& bytes) {
        std::string got(bytes.size(), ' ');
        bool is_there = false;
        boost::asio::async_write(from, boost::asio::buffer(bytes),
                                 [](boost::system::error_code, std::size_t) {});
        boost::asio::async_read(to, boost::asio::buffer(got),
                                [&is_there](boost::system::error_code error, std::size_t) {
                                    CHECK(!error);
                                    is_there = true;
                                });
        runner.run_until([&is_there] { return is_there; });
        CHECK(got == bytes);
    }
    // What comes until the end.
    template <typename From>
    std::string read_to_end(From& from) {
        std::string got;
        bool is_over = false;
        boost::asio::async_read(
            from, boost::asio::dynamic_buffer(got),
            [&is_over](boost::system::error_code, std::size_t) { is_over = true; });
        runner.run_until([&is_over] { return is_over; });
        return got;
    }

    using Socket = boost::asio::local::stream_protocol::socket;

    std::shared_ptr<rest::Stream> client;
    Socket guest;
    std::string heard;
    store::test::EventLoopRunner& runner;
};

}  // namespace

TEST_CASE(
    "a connection that another host upgrades is passed on both ways, until one side hangs up") {
    store::test::ScratchFolder keys;
    Tls one;
    Tls two;
    SUBCASE("plain") {}
    SUBCASE("over TLS") {
        one = make_tls(make_certificate(keys.file(""), "ca", "h1"));
        two = make_tls(make_certificate(keys.file(""), "ca", "h2"));
    }
    for (const bool is_guest_first : {true, false}) {
        Hosts hosts{one, two};
        Tunnel tunnel{hosts};
        const std::string early = std::string{"early "}.substr(tunnel.heard.size());
        std::string rest(early.size(), ' ');
        tunnel.pass(*tunnel.client, tunnel.guest, std::string(1'000'000, 'c'));
        if (!early.empty()) {
            bool is_there = false;
            boost::asio::async_read(
                *tunnel.client, boost::asio::buffer(rest),
                [&](boost::system::error_code, std::size_t) { is_there = true; });
            hosts.runner.run_until([&] { return is_there; });
        }
        CHECK(tunnel.heard + rest == "early ");
        tunnel.pass(tunnel.guest, *tunnel.client, std::string(1'000'000, 'g'));
        if (is_guest_first) {
            boost::asio::write(tunnel.guest, boost::asio::buffer(std::string{"last words"}));
            tunnel.guest.close();
            CHECK(tunnel.read_to_end(*tunnel.client) == "last words");
        } else {
            tunnel.client.reset();
            CHECK(tunnel.read_to_end(tunnel.guest).empty());
        }
    }
}

}  // namespace shoal::peer::test
