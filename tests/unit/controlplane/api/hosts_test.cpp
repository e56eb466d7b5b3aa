#include "controlplane/api/hosts.h"

#include <doctest/doctest.h>

#include <optional>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "tests/unit/controlplane/node/manual_store.h"

namespace shoal::rest::test {
namespace {

namespace keys = model::keys;

struct Rig : node::test::ManualStore {
    Rig() {
        add_hosts(api, service, "h1");
        mirror.start([](const store::Result<store::Revision>&) {});
        model::Host host;
        host.name = "h1";
        put(keys::of(keys::hosts, "h1"), model::to_json(host));
    }
    Response ask(const std::string& method, std::vector<std::string> path,
                 const std::string& body = {}) {
        Request request;
        request.method = method;
        request.path = std::move(path);
        request.body = body;
        std::optional<Response> answer;
        api.handle(request, [&answer](Response response) { answer = std::move(response); });
        loop.settle();
        REQUIRE(answer);
        return std::move(*answer);
    }

    node::Mirror mirror{loop, store};
    Service service{loop, store, mirror, nullptr};
    Api api;
};

}  // namespace

TEST_CASE("the list of hosts says that failover is stopped, and why") {
    Rig rig;
    CHECK(rig.ask("GET", {"v1", "hosts"}).body.starts_with(R"({"failover_stopped":null,)"));
    rig.put(std::string{keys::failover}, model::to_json(model::Failover{"3 of 4 are silent"}));
    const Response stopped = rig.ask("GET", {"v1", "hosts"});
    CHECK(stopped.body.starts_with(R"({"failover_stopped":"3 of 4 are silent",)"));
    CHECK(stopped.body.find(R"("items":[{"name":"h1")") != std::string::npos);
    rig.store.remove(std::string{keys::failover}, [](const store::Result<store::Revision>&) {});
    rig.loop.settle();
    CHECK(rig.ask("GET", {"v1", "hosts"}).body.starts_with(R"({"failover_stopped":null,)"));
}

TEST_CASE("a host alone says that it cannot drain") {
    Rig rig;
    const auto drain = [&rig] {
        return rig.ask("PUT", {"v1", "hosts", "h1", "scheduling"}, R"({"scheduling":"draining"})");
    };
    SUBCASE("among others it can") {
        CHECK(drain().status == 200);
    }
    SUBCASE("alone") {
        node::Placer placer{rig.loop, rig.store, rig.mirror, {"h1", {}}};
        rig.service.placer = &placer;
        const Response refused = drain();
        CHECK(refused.status == 409);
        CHECK(refused.body.find("host h1 is alone") != std::string::npos);
        CHECK(rig.ask("PUT", {"v1", "hosts", "h1", "scheduling"}, R"({"scheduling":"cordoned"})")
                  .status == 200);
    }
}

}  // namespace shoal::rest::test
