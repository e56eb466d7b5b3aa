#include "controlplane/network/address_book.h"

#include <doctest/doctest.h>

#include <memory>
#include <set>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "tests/unit/controlplane/node/manual_store.h"

namespace shoal::network {

namespace {

namespace keys = model::keys;
using std::chrono::seconds;

class Host : public node::test::ManualStore {
public:
    Host() {
        put(keys::of(keys::networks, "n"), model::to_json(model::Network{"n", "10.0.0.8/29"}));
        restart();
    }
    void restart() {
        book_.reset();
        mirror_ = std::make_unique<node::Mirror>(loop, store);
        book_ = std::make_unique<AddressBook>(loop, store, *mirror_, "here");
        mirror_->start([this](const store::Result<node::Revision>& ready) {
            REQUIRE(ready);
            mirror_->add_listener(*book_);
            book_->start();
        });
        loop.settle();
    }
    void create(const std::string& name, const std::string& host = "here") {
        model::MicroVmSpec spec;
        spec.name = name;
        spec.program = "/bin/true";
        spec.network = "n";
        put(keys::of(keys::microvms, name), model::to_json(spec));
        put(keys::of(keys::placements, name), model::to_json(model::Placement{host, 0}));
        loop.advance(seconds{1});
    }
    void remove(const std::string& name) {
        commit({{},
                {store::Delete{keys::of(keys::microvms, name)},
                 store::Delete{keys::of(keys::placements, name)}}});
        loop.advance(seconds{1});
    }
    // "-": none.
    std::string address(const std::string& name) {
        const auto ip = mirror_->objects().address_of(name, "n");
        return ip ? to_text(*ip) : "-";
    }
    std::size_t given() const {
        const auto& all = mirror_->objects().addresses;
        return all.contains("n") ? all.at("n").size() : 0;
    }

private:
    std::unique_ptr<node::Mirror> mirror_;
    std::unique_ptr<AddressBook> book_;
};

}  // namespace

TEST_CASE(
    "each microVM of this host gets an address of its own, and gives it back when it is gone") {
    Host host;
    host.create("a");
    host.create("b");
    host.create("elsewhere", "there");
    CHECK(host.address("a") == "10.0.0.10");
    CHECK(host.address("b") == "10.0.0.11");
    CHECK(host.address("elsewhere") == "-");
    host.remove("a");
    CHECK(host.given() == 1);
    host.create("c");
    CHECK(host.address("c") == "10.0.0.10");
}

TEST_CASE("addresses outlive shoald, and those of microVMs that went meanwhile are taken back") {
    Host host;
    host.create("a");
    host.create("b");
    host.put(keys::of(keys::addresses, "n", "10.0.0.14"), model::to_json(model::Address{"gone"}));
    host.restart();
    host.loop.advance(seconds{1});
    CHECK(host.address("a") == "10.0.0.10");
    CHECK(host.address("b") == "10.0.0.11");
    CHECK(host.given() == 2);
}

TEST_CASE("who leads takes addresses back, and nobody else") {
    Host host;
    host.put(std::string{keys::leader}, R"({"host":"there"})");
    host.create("a");
    host.create("b");
    host.remove("a");
    CHECK(host.address("a") == "10.0.0.10");
    SUBCASE("the one that comes to lead finds what is left") {
        host.put(std::string{keys::leader}, R"({"host":"here"})");
    }
    SUBCASE("nobody leads, and the next microVM goes") {
        host.store.remove(std::string{keys::leader}, [](const store::Result<store::Revision>&) {});
        host.restart();
    }
    host.loop.advance(seconds{1});
    CHECK(host.given() == 1);
    CHECK(host.address("b") == "10.0.0.11");
}

TEST_CASE("who finds none left gets the first that is given back") {
    Host host;
    for (const char* name : {"a", "b", "c", "d", "e", "f"}) {
        host.create(name);
    }
    CHECK(host.given() == 5);
    CHECK(host.address("f") == "-");
    host.remove("c");
    host.loop.advance(seconds{1});
    CHECK(host.address("f") == "10.0.0.12");
}

}  // namespace shoal::network
