#include "controlplane/cli/console.h"

#include <doctest/doctest.h>

namespace shoal::cli::test {

TEST_CASE(
    "a console is left by its escape, or the end of input, and what was typed before counts") {
    const auto check = [](std::string_view bytes, std::string_view input, bool leaves) {
        const Typed typed = typed_in(bytes);
        CHECK(typed.input == input);
        CHECK(typed.leaves == leaves);
    };
    check("ls\n", "ls\n", false);
    check("\x03\x04", "\x03\x04", false);
    check("\x1D", "", true);
    check("half a line\x1D", "half a line", true);
    check("a\x1D behind\x1D", "a", true);
    check("", "", true);
}

}  // namespace shoal::cli::test
