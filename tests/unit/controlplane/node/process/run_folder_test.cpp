#include "controlplane/node/process/run_folder.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <string>

#include "controlplane/node/mirror/attempt.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::node::test {

TEST_CASE("an attempt is the name of its folder, and no other name is an attempt") {
    const Attempt attempt{"web-0", 17, 2};
    CHECK(to_folder_name(attempt) == "web-0@17.2");
    CHECK(attempt_in("web-0@17.2") == attempt);
    for (const char* name : {"", "web-0", "@17.2", "web-0@17", "web-0@.2", "web-0@17.", "Web@1.0",
                             "web-0@017.2", "web-0@-1.2", "web-0@17.2.3", "web.0@17.2", "..",
                             "web-0@99999999999999999999.0", "web-0@17.2x", "web/0@17.2"}) {
        CAPTURE(name);
        CHECK_FALSE(attempt_in(name));
    }
}

TEST_CASE("what a supervisor writes is read again, and nothing that is cut off") {
    const Supervision supervision{{1234, 567}, 1'700'000'000'123};
    CHECK(supervision_in(to_text(supervision)) == supervision);
    const Exit exit{143, 1'700'000'000'123, "it was stopped"};
    CHECK(exit_in(to_text(exit)) == exit);
    const Exit silent{0, 5, ""};
    CHECK(exit_in(to_text(silent)) == silent);
    for (std::size_t size = 0; size < to_text(supervision).size(); ++size) {
        CHECK_FALSE(supervision_in(to_text(supervision).substr(0, size)));
    }
    for (std::size_t size = 0; size < to_text(exit).size(); ++size) {
        CHECK_FALSE(exit_in(to_text(exit).substr(0, size)));
    }
    for (const char* text : {"256 1 x\n", "-1 1 x\n", "1 x\n", "1 2 x\ny\n", "1 2 x\n\n"}) {
        CHECK_FALSE(exit_in(text));
    }
    CHECK_FALSE(supervision_in("0 1 2\n"));
}

TEST_CASE("a file appears whole, and a lock is held by one") {
    const store::test::ScratchFolder scratch;
    const host::UniqueFd folder{::open(scratch.file("").c_str(), O_RDONLY | O_DIRECTORY)};
    CHECK_FALSE(read_whole(folder.get(), exit_file));
    write_whole(folder.get(), exit_file, "first");
    write_whole(folder.get(), exit_file, "2");
    CHECK(read_whole(folder.get(), exit_file) == "2");
    CHECK_FALSE(read_whole(folder.get(), "exit.partial"));
    host::UniqueFd lock = try_lock(folder.get());
    CHECK(lock);
    CHECK_FALSE(try_lock(folder.get()));
    lock = {};
    CHECK(try_lock(folder.get()));
}

}  // namespace shoal::node::test
