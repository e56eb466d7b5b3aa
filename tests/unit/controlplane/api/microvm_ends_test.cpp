// Deletions whose answer is lost: what the client is told is what came of it.
#include "controlplane/api/microvm_ends.h"

#include <doctest/doctest.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "controlplane/api/microvms.h"
#include "controlplane/model/keys.h"
#include "controlplane/store/etcd_request.h"
#include "tests/unit/controlplane/node/manual_store.h"

namespace shoal::rest::test {
namespace {

namespace keys = model::keys;
using store::Handler;
using store::Revision;

// A store that loses the answers to what is committed by it, and may do something else before that.
class LosingStore final : public store::Store {
public:
    explicit LosingStore(store::Store& store) : store_{store} {}

    void commit(store::Transaction transaction, Handler<Revision> handler) override {
        is_guarded = store::etcd::happens_once(transaction);
        if (!does) {
            transaction = {};
        }
        store_.commit(std::move(transaction),
                      [this, handler = std::move(handler)](const store::Result<Revision>&) mutable {
                          meanwhile();
                          handler(std::unexpected{store::Error{failure, "lost"}});
                      });
    }
    void get(std::string key, Handler<store::Lookup> handler) override {
        store_.get(std::move(key), std::move(handler));
    }
    void list(store::ListRequest request, Handler<store::Page> handler) override {
        store_.list(std::move(request), std::move(handler));
    }
    store::Result<std::unique_ptr<store::Watch>> watch(std::string prefix, Revision from,
                                                       store::Watcher& watcher) override {
        return store_.watch(std::move(prefix), from, watcher);
    }
    void grant(std::chrono::seconds ttl, Handler<store::LeaseId> handler) override {
        store_.grant(ttl, std::move(handler));
    }
    void keep_alive(store::LeaseId lease, Handler<store::LeaseId> handler) override {
        store_.keep_alive(lease, std::move(handler));
    }
    void revoke(store::LeaseId lease, Handler<store::LeaseId> handler) override {
        store_.revoke(lease, std::move(handler));
    }
    void compact(Revision revision, Handler<Revision> handler) override {
        store_.compact(revision, std::move(handler));
    }

    bool does = true;
    bool is_guarded = false;
    store::Failure failure = store::Failure::uncertain;
    std::function<void()> meanwhile = [] {};

private:
    store::Store& store_;
};

struct Rig : node::test::ManualStore {
    Rig() {
        add_microvm_ends(api, service);
        mirror.start([](const store::Result<Revision>&) {});
        put_microvm();
    }

    void put_microvm() {
        model::MicroVmSpec spec;
        spec.name = "a";
        spec.program = "/p";
        put(keys::of(keys::microvms, "a"), model::to_json(spec));
    }
    // As its host does.
    void forget() {
        store.commit({{},
                      {store::Delete{keys::of(keys::microvms, "a")},
                       store::Delete{keys::of(keys::deletions, "a")}}},
                     [](const store::Result<Revision>&) {});
    }
    unsigned remove() {
        Request request;
        request.method = "DELETE";
        request.path = {"v1", "microvms", "a"};
        std::optional<Response> answer;
        api.handle(request, [&answer](Response response) { answer = std::move(response); });
        loop.settle();
        REQUIRE(answer);
        return answer->status;
    }

    LosingStore losing{store};
    node::Mirror mirror{loop, store};
    Service service{loop, losing, mirror, nullptr};
    Api api;
};

}  // namespace

TEST_CASE("a deletion is a write of which a store finds out what came of it") {
    Rig rig;
    static_cast<void>(rig.remove());
    CHECK(rig.losing.is_guarded);
    rig.put(keys::of(keys::deletions, "a"), R"({"grace_s":20})");  // a longer one
    static_cast<void>(rig.remove());
    CHECK(rig.losing.is_guarded);
}

TEST_CASE("a deletion whose answer is lost is told as it is, whoever has done it") {
    Rig rig;
    SUBCASE("it was done") {
        CHECK(rig.remove() == 202);
    }
    SUBCASE("it was done, and the microVM is gone") {
        rig.losing.meanwhile = [&rig] { rig.forget(); };
        CHECK(rig.remove() == 204);
    }
    SUBCASE("it was done, and there is another one of its name") {
        rig.losing.meanwhile = [&rig] {
            rig.forget();
            rig.store.put({keys::of(keys::microvms, "a"), R"({"name":"a","program":"/p"})"},
                          [](const store::Result<Revision>&) {});
        };
        CHECK(rig.remove() == 204);
    }
    SUBCASE("it was not done") {
        rig.losing.does = false;
        CHECK(rig.remove() == 503);
    }
    SUBCASE("another was first") {
        rig.losing.failure = store::Failure::conflict;
        CHECK(rig.remove() == 202);
    }
    SUBCASE("somebody has changed it") {
        rig.losing.does = false;
        rig.losing.failure = store::Failure::conflict;
        CHECK(rig.remove() == 409);
    }
    SUBCASE("the store is not there") {
        rig.losing.failure = store::Failure::unavailable;
        CHECK(rig.remove() == 503);
    }
}

}  // namespace shoal::rest::test
