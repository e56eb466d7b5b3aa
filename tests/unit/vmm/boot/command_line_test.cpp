#include "vmm/boot/command_line.h"

#include <doctest/doctest.h>

namespace shoal::boot {

TEST_CASE("words are added before the program's arguments") {
    CHECK(with_words("", "a=1") == "a=1");
    CHECK(with_words("quiet", "a=1 b") == "quiet a=1 b");
    CHECK(with_words("quiet -- x -- y", "a=1") == "quiet a=1 -- x -- y");
    CHECK(with_words("-- x", "a=1") == "a=1 -- x");
    CHECK(with_words("--", "a=1") == "a=1 --");
    CHECK(with_words("quiet --", "a=1") == "quiet a=1 --");
    CHECK(with_words("root=a--b", "a=1") == "root=a--b a=1");
    CHECK(with_words("quiet -- x", "") == "quiet -- x");
    CHECK(with_words("quiet", " a=1") == "quiet a=1");
}

TEST_CASE("Linux hears of its root device as from Firecracker") {
    CHECK(linux_arguments("quiet", {}) == "quiet pci=off");
    CHECK(linux_arguments("", {}) == "pci=off");
    CHECK(linux_arguments({}, {}) == std::string{default_arguments} + " pci=off");
    CHECK(linux_arguments("console=ttyS0 -- x", RootDevice{{}, RootAccess::read_only}) ==
          "console=ttyS0 pci=off root=/dev/vda ro -- x");
    CHECK(linux_arguments("", RootDevice{"0eaa91a0-01", RootAccess::read_write}) ==
          "pci=off root=PARTUUID=0eaa91a0-01 rw");
}

}  // namespace shoal::boot
