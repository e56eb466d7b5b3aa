// Real programs, and limits that they run into.
#include "controlplane/image/guarded_child.h"

#include <doctest/doctest.h>

#include <chrono>
#include <fstream>
#include <stdexcept>
#include <string>

#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::images::test {
namespace {

struct Rig {
    // What is said of a shell's words; empty: they ended well.
    std::string failure(const std::string& words) {
        try {
            run_guarded({"/bin/sh", "-c", words}, {scratch.file(""), limits, stop.get_token()});
            return "";
        } catch (const std::runtime_error& error) {
            return error.what();
        }
    }

    store::test::ScratchFolder scratch;
    Limits limits;
    std::stop_source stop;
};

}  // namespace

TEST_CASE("a guarded program ends well, or with its own last words") {
    Rig rig;
    CHECK(rig.failure("exit 0").empty());
    CHECK(rig.failure("echo first; echo 'the last'; exit 1") == "the last");
    CHECK(rig.failure("exit 1") == "/bin/sh failed");
    CHECK(rig.failure("head -c 100000 /dev/zero | tr '\\0' x; echo; echo end; exit 1") == "end");
    CHECK_THROWS_WITH(run_guarded({"/no/such"}, {rig.scratch.file(""), rig.limits, {}}),
                      "there is no /no/such: images are imported by the packages skopeo, umoci and "
                      "erofs-utils");
}

TEST_CASE("a program that takes too long or too much is killed, and the number is said") {
    Rig rig;
    SUBCASE("time") {
        rig.limits.time = std::chrono::seconds{0};
        CHECK(rig.failure("exec sleep 1000") == "it takes more than 0 s");
    }
    SUBCASE("bytes, while it goes on") {
        rig.limits.bytes = 100'000;
        CHECK(rig.failure("head -c 200000 /dev/zero > " + rig.scratch.file("x") +
                          "; exec sleep 1000") ==
              "it takes more than 100000 bytes of the disk while it is made");
    }
    SUBCASE("bytes, when it has ended") {
        rig.limits.bytes = 100'000;
        CHECK(rig.failure("head -c 200000 /dev/zero > " + rig.scratch.file("x")) ==
              "it takes more than 100000 bytes of the disk while it is made");
    }
    SUBCASE("files") {
        rig.limits.files = 3;
        CHECK(rig.failure("cd " + rig.scratch.file("") + "; touch a b c").empty());
        CHECK(rig.failure("touch " + rig.scratch.file("d")) == "it has more than 3 files");
    }
    SUBCASE("shoald ends") {
        rig.stop.request_stop();
        CHECK(rig.failure("exec sleep 1000") == "shoald ends");
    }
}

TEST_CASE("holes and links count as what they take of the disk") {
    Rig rig;
    rig.limits.bytes = 100'000;
    const std::string folder = rig.scratch.file("");
    CHECK(rig.failure("cd " + folder + "; truncate -s 1G hole; head -c 60000 /dev/zero > file; " +
                      "ln file link; ln -s /usr usr")
              .empty());
}

TEST_CASE("what skopeo and umoci say is their sentence alone") {
    CHECK(message_in("copying\ntime=\"2026-11-28T02:34:10Z\" level=fatal msg=\"source \\\"x\\\": "
                     "none\"\n") == "source \"x\": none");
    CHECK(message_in("   \u2a2f tag is not found: nope   \n") == "tag is not found: nope");
    CHECK(message_in("a\n\n") == "a");
    CHECK(message_in("").empty());
    CHECK(message_in("msg=\"cut \\") == "cut \\");
}

}  // namespace shoal::images::test
