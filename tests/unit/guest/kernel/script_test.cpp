// `#!` lines, and files that are no scripts.
#include "guest/kernel/script.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/unit/guest/kernel/fs/fake_kernel.h"

namespace shoal::guest {
namespace {

using fake::Kernel;
using fake::put_file;

std::string words_of(const FileSystem& files, std::string_view path) {
    const auto found = resolve_script(files, path, {"argv0", "one", "two words"});
    if (!found) {
        return "errno " + std::to_string(static_cast<int>(found.error()));
    }
    std::string text{found->executable->name()};
    for (const std::string_view word : found->arguments) {
        text += "|" + std::string{word};
    }
    return text;
}

TEST_CASE("a program is itself, with its arguments") {
    Kernel kernel;
    put_file(kernel.files, "/prog",
             "\x7f"
             "ELF");
    put_file(kernel.files, "/empty", "");
    CHECK(words_of(kernel.files, "/prog") == "prog|argv0|one|two words");
    CHECK(words_of(kernel.files, "/empty") == "empty|argv0|one|two words");
    CHECK(words_of(kernel.files, "/missing") == "errno 2");
}

TEST_CASE("a script is read by its interpreter") {
    Kernel kernel;
    put_file(kernel.files, "/sh",
             "\x7f"
             "ELF");
    put_file(kernel.files, "/plain", "#!/sh\necho");
    put_file(kernel.files, "/blanks", "#! \t/sh  -e -x \t\n");
    put_file(kernel.files, "/short", "#!/sh");
    CHECK(words_of(kernel.files, "/plain") == "sh|/sh|/plain|one|two words");
    CHECK(words_of(kernel.files, "/blanks") == "sh|/sh|-e -x|/blanks|one|two words");
    CHECK(words_of(kernel.files, "/short") == "sh|/sh|/short|one|two words");
}

TEST_CASE("an interpreter may be a script, but not for ever") {
    Kernel kernel;
    put_file(kernel.files, "/sh",
             "\x7f"
             "ELF");
    put_file(kernel.files, "/a", "#!/sh x\n");
    put_file(kernel.files, "/b", "#!/a y\n");
    put_file(kernel.files, "/loop", "#!/loop\n");
    CHECK(words_of(kernel.files, "/b") == "sh|/sh|x|/a|y|/b|one|two words");
    CHECK(words_of(kernel.files, "/loop") == "errno 40");
}

TEST_CASE("a script without an interpreter cannot run") {
    Kernel kernel;
    put_file(kernel.files, "/nothing", "#!");
    put_file(kernel.files, "/blank", "#!  \n/sh");
    put_file(kernel.files, "/lost", "#!/no/such\n");
    CHECK(words_of(kernel.files, "/nothing") == "errno 8");
    CHECK(words_of(kernel.files, "/blank") == "errno 8");
    CHECK(words_of(kernel.files, "/lost") == "errno 2");
}

TEST_CASE("five scripts may stand in front of a program, and no more") {
    Kernel kernel;
    put_file(kernel.files, "/0", "ELF");
    for (char number = '1'; number <= '6'; ++number) {
        put_file(kernel.files, std::string{"/"} + number,
                 std::string{"#!/"} + static_cast<char>(number - 1));
    }
    CHECK(words_of(kernel.files, "/5") == "0|/0|/1|/2|/3|/4|/5|one|two words");
    CHECK(words_of(kernel.files, "/6") == "errno 40");
}

}  // namespace
}  // namespace shoal::guest
