// Tokens as the store has them; system tests make them, and let them expire by their leases.
#include "controlplane/api/join.h"

#include <doctest/doctest.h>

#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "controlplane/content/sha256.h"
#include "controlplane/model/join.h"
#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "tests/unit/controlplane/node/manual_store.h"

namespace shoal::rest::test {
namespace {

namespace keys = model::keys;

constexpr const char* secret = "00112233445566778899aabbccddeeff";
constexpr std::uint64_t never_s = std::numeric_limits<std::int32_t>::max();

std::string key_of_token() {
    content::Sha256 sha;
    sha.add(secret);
    return keys::of(keys::join_tokens, sha.finish());
}

struct Rig : node::test::ManualStore {
    Rig() {
        add_join(api, service, authority);
        mirror.start([](const store::Result<store::Revision>&) {});
        loop.settle();
    }

    Response join(const std::string& host) {
        Request request;
        request.method = "POST";
        request.path = {"v1", "join"};
        request.body = R"({"secret":)" + quote(secret) + R"(,"host":)" + quote(host) +
                       R"(,"address":"10.0.0.2","request":)" +
                       quote(pki::make_request(pki::make_key())) + "}";
        std::optional<Response> answer;
        api.handle(request, [&answer](Response response) { answer = std::move(response); });
        loop.settle();
        REQUIRE(answer);
        return std::move(*answer);
    }
    std::optional<model::JoinToken> token() {
        std::optional<model::JoinToken> token;
        store.get(key_of_token(), [&token](const store::Result<store::Lookup>& lookup) {
            if (lookup->entry) {
                token = model::from_json<model::JoinToken>(lookup->entry->value);
            }
        });
        loop.settle();
        return token;
    }

    node::Mirror mirror{loop, store};
    Service service{loop, store, mirror, nullptr};
    pki::Authority authority;
    Api api;
};

}  // namespace

TEST_CASE("a token lets in as many hosts as it says, and is gone then") {
    Rig rig;
    rig.put(key_of_token(), model::to_json(model::JoinToken{2, never_s}));
    const Response first = rig.join("h2");
    CHECK(first.status == 200);
    CHECK(first.body.find("BEGIN CERTIFICATE") != std::string::npos);
    REQUIRE(rig.token());
    CHECK(rig.token()->uses == 1);
    CHECK(rig.join("h3").status == 200);
    CHECK(!rig.token());
    CHECK(rig.join("h4").status == 403);
}

TEST_CASE("a token that is not known, used up or expired lets nobody in") {
    Rig rig;
    SUBCASE("not known") {}
    SUBCASE("used up") {
        rig.put(key_of_token(), model::to_json(model::JoinToken{0, never_s}));
    }
    SUBCASE("expired, though the store still has it") {
        rig.put(key_of_token(), model::to_json(model::JoinToken{1, 1}));
    }
    SUBCASE("no token") {
        rig.put(key_of_token(), "{");
    }
    const Response answer = rig.join("h2");
    CHECK(answer.status == 403);
    CHECK(answer.body.find("not known, used up or expired") != std::string::npos);
}

TEST_CASE("the name of a host that is there is not given to another one") {
    Rig rig;
    rig.put(key_of_token(), model::to_json(model::JoinToken{1, never_s}));
    model::Host host;
    host.name = "h2";
    rig.put(keys::of(keys::hosts, "h2"), model::to_json(host));
    CHECK(rig.join("h2").status == 409);
    CHECK(rig.token()->uses == 1);
}

TEST_CASE("a host that was deleted may join again, though its heartbeat is there") {
    Rig rig;
    rig.put(key_of_token(), model::to_json(model::JoinToken{1, never_s}));
    model::Host host;
    host.name = "h2";
    rig.put(keys::of(keys::hosts, "h2"), model::to_json(host));
    rig.put(keys::of(keys::heartbeats, "h2"), model::to_json(model::Heartbeat{3, 7}));
    CHECK(rig.join("h2").status == 409);
    rig.store.remove(keys::of(keys::hosts, "h2"), [](const store::Result<store::Revision>&) {});
    rig.loop.settle();
    CHECK(rig.mirror.hosts().contains("h2"));
    CHECK(rig.join("h2").status == 200);
}

TEST_CASE("a host that was deleted gets no other certificate") {
    Rig rig;
    Api api;
    add_renewal(api, rig.service, rig.authority);
    const pki::Key key = pki::make_key();
    const std::string wanted = pki::make_request(key);
    Request request;
    request.method = "POST";
    request.path = {"v1", "certificate"};
    request.body = R"({"certificate":)" + quote(rig.authority.sign(wanted, {"h2", "10.0.0.2"})) +
                   R"(,"request":)" + quote(wanted) + "}";
    const auto ask = [&] {
        unsigned status = 0;
        api.handle(request, [&status](const Response& response) { status = response.status; });
        return status;
    };
    CHECK(ask() == 403);
    model::Host host;
    host.name = "h2";
    rig.put(keys::of(keys::hosts, "h2"), model::to_json(host));
    CHECK(ask() == 200);
    rig.put(keys::of(keys::heartbeats, "h2"), model::to_json(model::Heartbeat{3, 0}));
    rig.store.remove(keys::of(keys::hosts, "h2"), [](const store::Result<store::Revision>&) {});
    rig.loop.settle();
    CHECK(ask() == 403);
}

TEST_CASE("a renewal is answered with a certificate, or says why not") {
    const pki::Authority authority;
    const pki::Key key = pki::make_key();
    const std::string request = pki::make_request(key);
    const std::string old = authority.sign(request, {"h2", "10.0.0.2"});
    const auto body = [](const std::string& certificate, const std::string& wanted) {
        return R"({"certificate":)" + quote(certificate) + R"(,"request":)" + quote(wanted) + "}";
    };
    const Response renewed = renew_certificate(authority, body(old, request));
    CHECK(renewed.status == 200);
    CHECK(renewed.body.find("BEGIN CERTIFICATE") != std::string::npos);
    const Response refused = renew_certificate(pki::Authority{}, body(old, request));
    CHECK(refused.status == 403);
    CHECK(refused.body.find("not of this cluster's authority") != std::string::npos);
    CHECK(renew_certificate(authority, "{").status == 400);
    CHECK(renew_certificate(authority, body(std::string(20'000, 'x'), request)).status == 400);
}

}  // namespace shoal::rest::test
