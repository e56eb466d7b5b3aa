// The kernel's command line, as Linux reads it, and as nobody should write it.
#include "guest/kernel/boot/command_line.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

namespace shoal::guest {
namespace {

// Keeps the text that the result points into.
struct Parsed {
    explicit Parsed(std::string_view from)
        : text{from.begin(), from.end()}, line{parse_command_line(text)} {}

    std::vector<char> text;
    CommandLine line;
};

using Words = std::vector<std::string_view>;

Words arguments(const Parsed& parsed) {
    return parsed.line.arguments;
}
Words environment(const Parsed& parsed) {
    return parsed.line.environment;
}

TEST_CASE("without words the program is /init") {
    for (const char* text : {"", " ", "\t\n  "}) {
        const Parsed parsed{text};
        CHECK(parsed.line.init == "/init");
        CHECK(parsed.line.init_was_named == Asked::no);
        CHECK(arguments(parsed).empty());
        CHECK(environment(parsed).empty());
        CHECK(parsed.line.refused.empty());
    }
}

TEST_CASE("each kind of word has its meaning") {
    const Parsed parsed{
        "console=tty0 console=ttyS0,115200 quiet rdinit=/bin/app HOME=/root single reboot=t "
        "panic=-1 root=/dev/vda rootfstype=erofs ro pci=off i8042.noaux 8250.nr_uarts=0 "
        "shoal.tty=02 shoal.trace_syscalls=1 "
        "shoal.boot_timer=1 virtio_mmio.device=4K@0xc0001000:5 A= -- -v A=1 -- quiet"};
    CHECK(parsed.line.init == "/bin/app");
    CHECK(parsed.line.init_was_named == Asked::yes);
    CHECK(parsed.line.root == "/dev/vda");
    CHECK(parsed.line.root_type == "erofs");
    CHECK(parsed.line.console == "ttyS0,115200");
    CHECK(parsed.line.quiet == Asked::yes);
    CHECK(parsed.line.tty_streams == 5);
    CHECK(parsed.line.trace_syscalls == Asked::yes);
    CHECK(parsed.line.boot_timer == Asked::yes);
    CHECK(environment(parsed) == Words{"HOME=/root", "A="});
    CHECK(arguments(parsed) == Words{"single", "-v", "A=1", "--", "quiet"});
    CHECK(parsed.line.virtio_mmio == std::vector{VirtioMmioWord{4096, 0xC0001000, 5}});
    CHECK(parsed.line.refused.empty());
}

TEST_CASE("rdinit= counts before init=, and each forgets the arguments before it") {
    CHECK(Parsed{"init=/a"}.line.init == "/a");
    CHECK(Parsed{"init=/a rdinit=/b"}.line.init == "/b");
    CHECK(Parsed{"rdinit=/b init=/a"}.line.init == "/b");
    const Parsed parsed{"one init=/a two"};
    CHECK(arguments(parsed) == Words{"two"});
    CHECK(Parsed{"rdinit="}.line.refused == "rdinit=");
    CHECK(Parsed{"rdinit="}.line.init == "/init");
}

TEST_CASE("quotes keep blanks together, as in next_arg() of Linux") {
    CHECK(environment(Parsed{"A=\"x y\" B=2"}) == Words{"A=x y", "B=2"});
    CHECK(environment(Parsed{"\"A=x y\" B=2"}) == Words{"A=x y", "B=2"});
    CHECK(environment(Parsed{"A=\"\" B=\"1\""}) == Words{"A=", "B=1"});
    CHECK(environment(Parsed{"A=x\"y z\"w"}) == Words{"A=x\"y z\"w"});
    CHECK(arguments(Parsed{"-- \"a b\" \"c\" d\"e f\""}) == Words{"a b", "c", "d\"e f\""});
    CHECK(Parsed{"init=\"/my program\""}.line.init == "/my program");
    CHECK(environment(Parsed{"A=\"no end of it"}) == Words{"A=no end of it"});
    CHECK(arguments(Parsed{"\"no end"}) == Words{"no end"});
    CHECK(environment(Parsed{"A=\""}) == Words{"A="});
}

TEST_CASE("the last of several values counts") {
    CHECK(environment(Parsed{"A=1 B=2 A=3 AB=4"}) == Words{"A=3", "B=2", "AB=4"});
    CHECK(Parsed{"shoal.trace_syscalls=1 shoal.trace_syscalls=0"}.line.trace_syscalls == Asked::no);
}

TEST_CASE("a NUL ends the text") {
    CHECK(environment(Parsed{std::string_view{"A=1\0B=2", 7}}) == Words{"A=1"});
}

TEST_CASE("devices are announced with sizes, addresses and lines of any notation") {
    const Parsed parsed{
        "virtio_mmio.device=512@0xfeb00e00:12 virtio_mmio.device=1M@4096:7:3 "
        "virtio_mmio.device=0x1000@0:0"};
    CHECK(parsed.line.virtio_mmio == std::vector{VirtioMmioWord{512, 0xFEB00E00, 12},
                                                 VirtioMmioWord{1U << 20, 4096, 7},
                                                 VirtioMmioWord{4096, 0, 0}});
    for (const char* value :
         {"", "4K", "4K@", "4K@0x", "4K@0x1000", "4K@0x1000:", "@0x1000:5", "0@0x1000:5",
          "4K@0x1000:5:", "4K@0x1000:5x", "4K@0x1000:1024", "4K@0xffffffffffffffff:5",
          "4K@0x10000000000000000:5", "18446744073709551615G@0:5", "99999999999999999999@0:5",
          "-1@0:5", "4K@0x1000:5:1:2", "4K@ 0x1000:5"}) {
        const Parsed bad{std::string{"virtio_mmio.device="} + value};
        CAPTURE(value);
        CHECK(bad.line.virtio_mmio.empty());
        CHECK(bad.line.refused.starts_with("virtio_mmio.device="));
    }
}

TEST_CASE("our own words are refused when they cannot be understood") {
    for (const char* word : {"shoal.tty=3", "shoal.tty=x", "shoal.trace_syscalls=2",
                             "shoal.boot_timer=", "shoal.unknown=1"}) {
        CHECK(Parsed{word}.line.refused == word);
    }
    CHECK(Parsed{"shoal.a shoal.b"}.line.refused == "shoal.a");
    CHECK(Parsed{"other.module=1 nvme.x"}.line.refused.empty());
}

TEST_CASE("whatever is on the line, the words stay inside it") {
    std::mt19937 random{7};
    constexpr std::string_view letters =
        "a=\" \t-.0K@:\0init"
        "virtio_mmio.device=";
    for (int round = 0; round < 20000; ++round) {
        std::string text;
        const auto size = random() % 30;
        while (text.size() < size) {
            const auto at = random() % letters.size();
            text += letters.substr(at, 1 + random() % 20);
        }
        const Parsed parsed{text};
        const auto is_inside = [&](std::string_view word) {
            return word.empty() ||
                   (word.data() >= parsed.text.data() &&
                    word.data() + word.size() <= parsed.text.data() + parsed.text.size());
        };
        for (const auto& words : {arguments(parsed), environment(parsed)}) {
            for (const std::string_view word : words) {
                REQUIRE(is_inside(word));
            }
        }
        REQUIRE((parsed.line.init == "/init" || is_inside(parsed.line.init)));
    }
}

TEST_CASE("a text that is cut anywhere is still parsed") {
    const std::string text =
        "init=\"/a b\" X=\"1 2\" virtio_mmio.device=4K@0xc0001000:5:1 -- \"c d\"";
    for (std::size_t size = 0; size <= text.size(); ++size) {
        const Parsed parsed{std::string_view{text}.substr(0, size)};
        CHECK(parsed.line.arguments.size() <= 1);
    }
}

}  // namespace
}  // namespace shoal::guest
