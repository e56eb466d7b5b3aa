// Several microVMs in one request: all or none, in one revision, of which some are placed at once.
#include "controlplane/api/microvm_creation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/api/microvms.h"
#include "controlplane/model/keys.h"
#include "controlplane/model/project.h"
#include "tests/unit/controlplane/node/manual_store.h"

namespace shoal::rest::test {
namespace {

namespace keys = model::keys;

struct Rig : node::test::ManualStore {
    explicit Rig(std::uint64_t room)
        : placer{loop, store, mirror, {"h", {1 << 20, 1 << 20, room}}} {
        add_microvms(api, service);
        mirror.start([](const store::Result<store::Revision>&) {});
        loop.settle();
        placer.start();
        mirror.add_listener(placer);
    }

    Response create(const std::string& count, const std::string& spec, const std::string& key = "",
                    bool is_dry_run = false) {
        Request request;
        request.method = "POST";
        request.path = {"v1", "microvms"};
        request.query["count"] = count;
        request.body = spec;
        if (!key.empty()) {
            request.headers["idempotency-key"] = key;
        }
        if (is_dry_run) {
            request.query["dry_run"] = "true";
        }
        std::optional<Response> answer;
        api.handle(request, [&answer](Response response) { answer = std::move(response); });
        loop.settle();
        REQUIRE(answer);
        return std::move(*answer);
    }
    std::size_t placed() const {
        return static_cast<std::size_t>(std::ranges::count_if(
            mirror.microvms(),
            [](const auto& entry) { return entry.second.placement.has_value(); }));
    }

    node::Mirror mirror{loop, store};
    node::Placer placer;
    Service service{loop, store, mirror, &placer};
    Api api;
};

constexpr const char* web = R"({"name":"web","program":"/p"})";

}  // namespace

TEST_CASE(
    "as many microVMs as may be are created in one revision, and placed where there is room") {
    Rig rig{1000};
    const store::Revision before = rig.mirror.revision();
    const Response answer = rig.create("100", web);
    CHECK(answer.status == 201);
    CHECK(rig.mirror.microvms().size() == 100);
    const store::Revision made = rig.mirror.find("web-0")->revision;
    CHECK(made == before + 1);
    CHECK(rig.mirror.find("web-99")->revision == made);
    CHECK(rig.mirror.find("web-0")->placement_revision == made);
    CHECK(rig.placed() == 100);
}

TEST_CASE("of two hosts that let the last one of a project in at once, one takes it back") {
    Rig rig{1000};
    node::Mirror mirror{rig.loop, rig.store};
    Service service{rig.loop, rig.store, mirror, nullptr};
    Api api;
    add_microvms(api, service);
    mirror.start([](const store::Result<store::Revision>&) {});
    rig.put(keys::of(keys::projects, "p"), R"({"name":"p","microvms":1})");
    Request request;
    request.method = "POST";
    request.path = {"v1", "microvms"};
    std::vector<Response> answers;
    for (Api* host : {&rig.api, &api}) {
        request.body = R"({"name":")" + std::string(host == &api ? "b" : "a") +
                       R"(","program":"/p","project":"p"})";
        host->handle(request,
                     [&answers](Response response) { answers.push_back(std::move(response)); });
    }
    rig.loop.settle();
    REQUIRE(answers.size() == 2);
    CHECK(answers[0].status + answers[1].status == 201 + 403);
    REQUIRE(mirror.find("a") != nullptr);
    REQUIRE(mirror.find("b") != nullptr);
    CHECK(mirror.find("a")->deletion.has_value() != mirror.find("b")->deletion.has_value());
}

TEST_CASE("a creation that is repeated while the first one is under way gets its answer") {
    Rig rig{1000};
    Request request;
    request.method = "POST";
    request.path = {"v1", "microvms"};
    request.body = R"({"program":"/p"})";
    request.headers["idempotency-key"] = "k";
    std::vector<Response> answers;
    for (int time = 0; time < 2; ++time) {
        rig.api.handle(request,
                       [&answers](Response response) { answers.push_back(std::move(response)); });
    }
    rig.loop.advance(std::chrono::seconds{1});
    REQUIRE(answers.size() == 2);
    CHECK(answers[0].status == 201);
    CHECK(answers[1].status == 201);
    CHECK(rig.mirror.microvms().size() == 1);
}

TEST_CASE("a creation that is repeated after a change gets what is there, another one is refused") {
    Rig rig{1000};
    REQUIRE(rig.create("1", web, "k").status == 201);
    model::MicroVmSpec spec = rig.mirror.find("web-0")->spec;
    spec.labels["tier"] = "front";
    spec.stop = model::Deletion{};
    rig.put(keys::of(keys::microvms, "web-0"), model::to_json(spec));
    const Response again = rig.create("1", web, "k");
    CHECK(again.status == 201);
    CHECK(again.body.find("front") != std::string::npos);
    CHECK(rig.mirror.find("web-0")->spec.labels.at("tier") == "front");
    Request other;
    other.method = "POST";
    other.path = {"v1", "microvms"};
    other.query["count"] = "1";
    other.body = R"({"name":"web","program":"/q"})";
    other.headers["idempotency-key"] = "k";
    std::optional<Response> answer;
    rig.api.handle(other, [&answer](Response response) { answer = std::move(response); });
    rig.loop.advance(std::chrono::seconds{1});
    REQUIRE(answer);
    CHECK(answer->status == 409);
}

TEST_CASE("of several microVMs those without room wait for it") {
    Rig rig{3};
    CHECK(rig.create("5", web).status == 201);
    CHECK(rig.mirror.microvms().size() == 5);
    CHECK(rig.placed() == 3);
}

TEST_CASE("several microVMs are created all or none") {
    Rig rig{1000};
    SUBCASE("one more than may be") {
        const Response answer = rig.create("101", web);
        CHECK(answer.status == 400);
        CHECK(answer.body.find("from 0 to 100") != std::string::npos);
    }
    SUBCASE("none") {
        CHECK(rig.create("0", web).status == 400);
    }
    SUBCASE("a name that is too long for the last, though not for the first") {
        const std::string name(61, 'a');
        CHECK(rig.create("11", R"({"name":")" + name + R"(","program":"/p"})").status == 400);
    }
    SUBCASE("volumes") {
        CHECK(rig.create("2", R"({"name":"web","program":"/p","volumes":["v"]})").status == 422);
    }
    SUBCASE("more bytes than a transaction may have") {
        const std::string word(100'000, 'a');
        const Response answer =
            rig.create("100", R"({"name":"web","program":"/p","arguments":[")" + word + R"("]})");
        CHECK(answer.status == 413);
    }
    SUBCASE("a quota with room for some") {
        model::Project project;
        project.name = "default";
        project.microvms = 4;
        rig.put(keys::of(keys::projects, "default"), model::to_json(project));
        rig.loop.settle();
        CHECK(rig.create("5", web).status == 403);
        CHECK(rig.create("5", web, "", true).status == 403);
    }
    SUBCASE("a dry run") {
        const Response answer = rig.create("2", web, "", true);
        CHECK(answer.status == 200);
        CHECK(answer.body.find(R"("name":"web-0")") != std::string::npos);
    }
    CHECK(rig.mirror.microvms().empty());
}

TEST_CASE("several microVMs are not created where one of the names is taken") {
    Rig rig{1000};
    CHECK(rig.create("1", web).status == 201);
    const Response answer = rig.create("3", web);
    CHECK(answer.status == 409);
    CHECK(answer.body.find("web-0") != std::string::npos);
    CHECK(rig.mirror.microvms().size() == 1);
}

TEST_CASE("several microVMs that are asked for again with their Idempotency-Key are those") {
    Rig rig{1000};
    for (const std::string spec : {web, R"({"program":"/p"})"}) {
        const std::size_t before = rig.mirror.microvms().size();
        const Response first = rig.create("3", spec, "k");
        const Response again = rig.create("3", spec, "k");
        CHECK(first.status == 201);
        CHECK(again.status == 201);
        CHECK(rig.mirror.microvms().size() == before + 3);
    }
    CHECK(rig.create("3", R"({"program":"/other"})", "k").status == 409);
    CHECK(rig.create("3", web, "").status == 409);
}

}  // namespace shoal::rest::test
