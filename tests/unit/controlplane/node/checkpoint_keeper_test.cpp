#include "controlplane/node/checkpoint_keeper.h"

#include <doctest/doctest.h>

namespace shoal::node::test {

namespace {

// Placed at revision 10 on "runs", whose checkpoint of generation 3 is on "keeps".
MicroVm make_microvm() {
    MicroVm microvm;
    microvm.revision = 5;
    microvm.placement = model::Placement{"runs", 1};
    microvm.placement_revision = 10;
    microvm.status.emplace();
    microvm.status->phase = model::Phase::running;
    microvm.checkpoint.emplace();
    microvm.checkpoint->placement = 10;
    microvm.checkpoint->generation = 3;
    microvm.checkpoint->hosts = {"keeps"};
    return microvm;
}

constexpr Revision mirror_at = 100;

}  // namespace

TEST_CASE("a host keeps the checkpoint that counts, and the one whose record is on its way") {
    const MicroVm microvm = make_microvm();
    CHECK(is_kept({"a", 10, 3}, &microvm, "keeps", mirror_at));
    CHECK(is_kept({"a", 10, 4}, &microvm, "keeps", mirror_at));
    CHECK_FALSE(is_kept({"a", 10, 2}, &microvm, "keeps", mirror_at));
    CHECK_FALSE(is_kept({"a", 10, 3}, &microvm, "other", mirror_at));
}

TEST_CASE("what a host has sent that lost the microVM goes, whatever it is called") {
    MicroVm microvm = make_microvm();
    SUBCASE("it is placed elsewhere, and not saved yet") {
        microvm.placement_revision = 20;
    }
    SUBCASE("it is placed nowhere") {
        microvm.placement.reset();
        microvm.placement_revision = 0;
    }
    CHECK(is_kept({"a", 10, 3}, &microvm, "keeps", mirror_at));
    CHECK_FALSE(is_kept({"a", 10, 4}, &microvm, "keeps", mirror_at));
}

TEST_CASE("nobody keeps a checkpoint of a microVM that is gone, or begins anew") {
    CHECK_FALSE(is_kept({"a", 10, 3}, nullptr, "keeps", mirror_at));
    MicroVm microvm = make_microvm();
    microvm.revision = 0;
    CHECK_FALSE(is_kept({"a", 10, 3}, &microvm, "keeps", mirror_at));
    microvm = make_microvm();
    microvm.checkpoint.reset();
    microvm.placement_revision = 20;
    CHECK_FALSE(is_kept({"a", 10, 3}, &microvm, "keeps", mirror_at));
}

TEST_CASE("a checkpoint of a placement that is not known here yet is kept") {
    CHECK(is_kept({"a", mirror_at + 1, 1}, nullptr, "keeps", mirror_at));
}

TEST_CASE("what was fetched is kept until the microVM runs from it") {
    MicroVm microvm = make_microvm();
    microvm.placement->host = std::string{"next"};
    microvm.placement_revision = 20;
    microvm.status.reset();
    CHECK(is_kept({"a", 10, 3}, &microvm, "next", mirror_at));
    microvm.status.emplace();
    microvm.status->phase = model::Phase::running;
    CHECK_FALSE(is_kept({"a", 10, 3}, &microvm, "next", mirror_at));
    CHECK(is_kept({"a", 10, 3}, &microvm, "keeps", mirror_at));
}

}  // namespace shoal::node::test
