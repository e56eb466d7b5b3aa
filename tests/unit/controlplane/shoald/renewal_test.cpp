// Certificates of real time, looked at by a loop whose time is a test's.
#include "controlplane/shoald/renewal.h"

#include <doctest/doctest.h>

#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include "controlplane/api/join.h"
#include "controlplane/http/problem.h"
#include "controlplane/node/rfc3339.h"
#include "controlplane/pki/authority.h"
#include "tests/sim/timeline.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::daemon::test {
namespace {

using namespace std::chrono_literals;

// With the hour before it was made, two thirds of its time have gone.
constexpr auto due = 20min;

struct Rig {
    Rig() {
        write("ca.pem", authority.certificate());
        write("host.key", pki::to_pem(key));
    }

    void write(const std::string& name, const std::string& text) const {
        std::ofstream{folder.file(name), std::ios::trunc} << text;
    }
    [[nodiscard]] std::string certificate() const { return pki::read_file(files.certificate); }
    [[nodiscard]] std::string sign(std::chrono::seconds lifetime) const {
        return authority.sign(pki::make_request(key), {"h1", "10.0.0.1"}, lifetime);
    }
    void run(std::chrono::nanoseconds time) { timeline.run_until(timeline.now() + time); }

    store::test::ScratchFolder folder;
    store::TlsFiles files{folder.file("ca.pem"), folder.file("host.pem"), folder.file("host.key")};
    pki::Authority authority;
    pki::Key key = pki::make_key();
    sim::Timeline timeline;
    sim::VirtualLoop loop{timeline};
    std::vector<std::string> used;  // until when
    std::string authority_until;
    int asked = 0;
    std::function<rest::Response(const std::string&)> answer = [this](const std::string& body) {
        return rest::renew_certificate(authority, body);
    };
    Renewal renewal{loop, files,
                    [this](const std::string& body, rest::Respond respond) {
                        ++asked;
                        respond(answer(body));
                    },
                    [this](const std::string& expires, const std::string& authority_expires) {
                        used.push_back(expires);
                        authority_until = authority_expires;
                    }};
};

}  // namespace

TEST_CASE("a certificate is used, and left as it is while two thirds of its time have not gone") {
    Rig rig;
    const std::string pem = rig.sign(pki::host_lifetime);
    rig.write("host.pem", pem);
    rig.renewal.look();
    rig.run(10h);
    CHECK(rig.used.size() == 1);
    CHECK(rig.asked == 0);
    CHECK(rig.certificate() == pem);
    CHECK(rig.authority_until > rig.used[0]);
}

TEST_CASE("an authority's certificate that was made anew is used without a restart") {
    Rig rig;
    rig.write("host.pem", rig.sign(pki::host_lifetime));
    rig.renewal.look();
    rig.run(10h);
    CHECK(rig.used.size() == 1);
    rig.write("ca.pem", pki::Authority{}.certificate());
    rig.run(2h);
    CHECK(rig.used.size() == 2);
    rig.run(10h);
    CHECK(rig.used.size() == 2);
}

TEST_CASE("a certificate that is due is replaced by a later one, which is used") {
    Rig rig;
    rig.write("host.pem", rig.sign(due));
    rig.renewal.look();
    CHECK(rig.asked == 1);
    REQUIRE(rig.used.size() == 2);
    CHECK(rig.used[0] < rig.used[1]);
    const pki::Certificate now = pki::parse_certificate(rig.certificate());
    CHECK(::X509_check_private_key(now.get(), rig.key.get()) == 1);
    rig.run(10h);
    CHECK(rig.asked == 1);
    CHECK(rig.used.size() == 2);
}

TEST_CASE("what is no renewal is not taken, and it is asked for again") {
    Rig rig;
    const std::string pem = rig.sign(due);
    rig.write("host.pem", pem);
    const auto fine = rig.answer;
    const auto certificate_of = [](const pki::Authority& authority, const pki::Key& key) {
        rest::Response response;
        response.body = R"({"certificate":)" +
                        rest::quote(authority.sign(pki::make_request(key), {"h1", "10.0.0.1"})) +
                        "}";
        return response;
    };
    SUBCASE("a refusal") {
        rig.answer = [](const std::string&) { return rest::Response{503, "{}"}; };
    }
    SUBCASE("no JSON") {
        rig.answer = [](const std::string&) { return rest::Response{200, "x"}; };
    }
    SUBCASE("no certificate") {
        rig.answer = [](const std::string&) { return rest::Response{200, R"({"certificate":7})"}; };
    }
    SUBCASE("one of another key") {
        rig.answer = [&](const std::string&) {
            return certificate_of(rig.authority, pki::make_key());
        };
    }
    SUBCASE("one of another authority") {
        rig.answer = [&](const std::string&) { return certificate_of(pki::Authority{}, rig.key); };
    }
    rig.renewal.look();
    CHECK(rig.asked == 1);
    CHECK(rig.certificate() == pem);
    CHECK(rig.used.size() == 1);
    rig.answer = fine;
    rig.run(10min);  // a thirtieth of its 80 minutes, and more
    CHECK(rig.asked == 2);
    CHECK(rig.used.size() == 2);
}

TEST_CASE("a file that somebody replaces is used, unless it does not fit the key") {
    Rig rig;
    rig.write("host.pem", rig.sign(pki::host_lifetime));
    rig.renewal.look();
    SUBCASE("it fits") {
        rig.write("host.pem", rig.sign(2 * pki::host_lifetime));
        rig.run(1h);
        CHECK(rig.used.size() == 2);
    }
    SUBCASE("another key's, until its key is there too") {
        const pki::Key other = pki::make_key();
        rig.write("host.pem", rig.authority.sign(pki::make_request(other), {"h1", "10.0.0.1"}));
        rig.run(1h);
        CHECK(rig.used.size() == 1);
        rig.write("host.key", pki::to_pem(other));
        rig.run(1h);
        CHECK(rig.used.size() == 2);
    }
    SUBCASE("it is gone for a while") {
        rig.write("host.pem", "");
        rig.run(1h);
        CHECK(rig.used.size() == 1);
        rig.write("host.pem", rig.sign(2 * pki::host_lifetime));
        rig.run(1h);
        CHECK(rig.used.size() == 2);
    }
}

TEST_CASE("a certificate is not said to outlive its authority's") {
    Rig rig;
    rig.write("host.pem", rig.sign(20 * pki::host_lifetime));
    rig.renewal.look();
    REQUIRE(rig.used.size() == 1);
    const auto until = pki::validity_of(pki::parse_certificate(rig.authority.certificate()).get());
    CHECK(rig.used[0] == node::to_rfc3339(until.until_s * 1000));
}

}  // namespace shoal::daemon::test
