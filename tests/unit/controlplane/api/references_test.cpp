// Images that a microVM refers to: of the kind that is needed, for what it can have.
#include "controlplane/api/references.h"

#include <doctest/doctest.h>

#include <string>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "tests/unit/controlplane/node/manual_store.h"

namespace shoal::rest::test {
namespace {

namespace keys = model::keys;

// With an image of each kind, called as the kind.
struct Rig : node::test::ManualStore {
    Rig() {
        add("root", model::ImageKind::root);
        add("kernel", model::ImageKind::kernel);
        add("initramfs", model::ImageKind::initramfs);
        mirror.start([](const store::Result<store::Revision>&) {});
        loop.settle();
    }
    void add(const std::string& name, model::ImageKind kind) {
        model::Image image;
        image.name = name;
        image.digest = std::string(64, 'a');
        image.kind = kind;
        put(keys::of(keys::images, name), model::to_json(image));
    }
    // What is said of a microVM that is this, in JSON; empty: nothing.
    std::string refusal(const std::string& text) {
        auto spec = model::from_json<model::MicroVmSpec>(text);
        try {
            resolve(service, spec);
            return "";
        } catch (const Problem& problem) {
            CHECK(problem.status() == 422);
            return problem.what();
        }
    }

    node::Mirror mirror{loop, store};
    Service service{loop, store, mirror, nullptr};
};

}  // namespace

TEST_CASE("a kernel boots by itself, or with a root, an initramfs and words of its own") {
    Rig rig;
    CHECK(rig.refusal(R"({"kernel":"kernel"})").empty());
    CHECK(rig.refusal(R"({"kernel":"kernel","image":"root","initramfs":"initramfs",)"
                      R"("cmdline":"quiet","vsock":true,"on_host_failure":"restore"})")
              .empty());
}

TEST_CASE("an image of another kind is refused, and so is one that is not there") {
    Rig rig;
    CHECK(rig.refusal(R"({"kernel":"none"})") == "there is no image none");
    CHECK(rig.refusal(R"({"kernel":"root"})") ==
          "image root is a root: microvm.kernel must be a kernel");
    CHECK(rig.refusal(R"({"image":"kernel","arguments":["x"]})") ==
          "image kernel is a kernel: microvm.image must be a root");
    CHECK(rig.refusal(R"({"kernel":"kernel","initramfs":"kernel"})") ==
          "image kernel is a kernel: microvm.initramfs must be an initramfs");
    CHECK(rig.refusal(R"({"kernel":"kernel","image":"initramfs"})") ==
          "image initramfs is an initramfs: microvm.image must be a root");
    CHECK(rig.refusal(R"({"image":"root"})") ==
          "image root does not say what to run: microvm.arguments must");
}

TEST_CASE("a kernel has nobody who hands over arguments, sets variables or starts an agent") {
    Rig rig;
    for (const char* field : {R"("arguments":["x"])", R"("environment":["A=B"])"}) {
        CHECK(rig.refusal(R"({"kernel":"kernel",)" + std::string{field} + "}") ==
              "a microVM with a kernel of its own has no arguments and no environment: "
              "microvm.cmdline is all that it is told");
    }
    CHECK(rig.refusal(R"({"kernel":"kernel","exec":true})")
              .starts_with("a microVM with a kernel of its own cannot have exec: with vsock,"));
}

TEST_CASE("what a microVM refers to must be there still when it is committed") {
    Rig rig;
    store::Transaction transaction;
    model::MicroVmSpec spec;
    spec.kernel = "kernel";
    spec.image = "root";
    add_conditions(rig.service, spec, transaction);
    REQUIRE(transaction.conditions.size() == 2);
    CHECK(transaction.conditions[0].key == keys::of(keys::images, "root"));
    CHECK(transaction.conditions[1].key == keys::of(keys::images, "kernel"));
}

}  // namespace shoal::rest::test
