#include "devices/backend/tap.h"

#include <doctest/doctest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include "devices/host/os_error.h"
#include "tests/unit/devices/backend/network_namespace.h"

namespace shoal::backend {
namespace {

// The sentence with which opening fails; "" when it does not.
std::string refusal(const std::string& name) {
    try {
        const Tap tap = Tap::open(name);
        return "";
    } catch (const std::exception& error) {
        return error.what();
    }
}

bool contains(const std::string& text, const std::string& piece) {
    return text.find(piece) != std::string::npos;
}

// Another owner of an interface. It exists as long as the descriptor.
host::UniqueFd make_interface(const std::string& name, int flags) {
    host::UniqueFd fd{
        host::check_os(::open("/dev/net/tun", O_RDWR | O_CLOEXEC), "open /dev/net/tun")};
    ifreq request{};
    std::ranges::copy(name, request.ifr_name);
    request.ifr_flags = static_cast<short>(flags);
    host::check_os(::ioctl(fd.get(), TUNSETIFF, &request), "TUNSETIFF");
    return fd;
}

TEST_CASE("what cannot be an interface's name is refused before anything is opened") {
    for (const std::string& name :
         {std::string{}, std::string{"."}, std::string{".."}, std::string{"a/b"},
          std::string{"tap%d"}, std::string{"tap 0"}, std::string{"tap\n"}, std::string{"eth0:1"},
          std::string{"tap\0x", 5}, std::string(16, 'x')}) {
        CHECK_THROWS_AS(Tap::open(name), std::invalid_argument);
        CHECK(contains(refusal(name), "is not the name of a network interface"));
    }
}

TEST_CASE("a TAP may be shared, and lasts as long as one of its descriptors") {
    in_network_namespace([] {
        std::optional<Tap> shared;
        {
            const Tap tap = Tap::open("t");
            shared = tap.try_share();
            REQUIRE(shared);
            CHECK(shared->fd() != tap.fd());
            CHECK(shared->supported_offloads() == tap.supported_offloads());
            CHECK(contains(refusal("t"), "busy"));
        }
        CHECK(::if_nametoindex("t") != 0);
        CHECK(shared->try_share());
        shared.reset();
        CHECK(::if_nametoindex("t") == 0);
    });
}

TEST_CASE("a TAP is opened, also one with the longest name, and is gone with its descriptor") {
    in_network_namespace([] {
        for (const std::string& name : {std::string{"t"}, std::string(15, 'x')}) {
            {
                const Tap tap = Tap::open(name);
                CHECK(::if_nametoindex(name.c_str()) != 0);
                CHECK((tap.supported_offloads() & (TUN_F_CSUM | TUN_F_TSO4)) ==
                      (TUN_F_CSUM | TUN_F_TSO4));
                ifreq request{};
                REQUIRE(::ioctl(tap.fd(), TUNGETIFF, &request) == 0);
                CHECK((request.ifr_flags & (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)) ==
                      (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR));
                int header_bytes = 0;
                REQUIRE(::ioctl(tap.fd(), TUNGETVNETHDRSZ, &header_bytes) == 0);
                CHECK(header_bytes == 12);
            }
            CHECK(::if_nametoindex(name.c_str()) == 0);
        }
    });
}

TEST_CASE("an interface that cannot be used is refused with its name and the reason") {
    in_network_namespace([] {
        std::string said;
        SUBCASE("another process has it") {
            const auto owner = make_interface("tap7", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
            said = refusal("tap7");
            CHECK(contains(said, "another process uses it"));
            CHECK(contains(said, "interface tap7 "));
        }
        SUBCASE("a TUN") {
            const auto owner = make_interface("tun7", IFF_TUN | IFF_NO_PI);
            REQUIRE(::ioctl(owner.get(), TUNSETPERSIST, 1) == 0);
            said = refusal("tun7");
            CHECK(contains(said, "it is not a TAP"));
            CHECK(contains(said, "interface tun7 "));
        }
        SUBCASE("something else") {
            said = refusal("lo");
            CHECK(contains(said, "it is not a TAP"));
            CHECK(contains(said, "interface lo "));
        }
        CHECK_FALSE(contains(said, "\n"));
    });
}

TEST_CASE("without permission the interface's name is in the message") {
    in_network_namespace([] {
        // The thread's alone: the system calls are made directly.
        if (::syscall(SYS_setresuid, -1, 65534, -1) != 0) {
            MESSAGE("skipped: this user cannot become another");
            return;
        }
        const std::string said = refusal("tap8");
        CHECK(::syscall(SYS_setresuid, -1, 0, -1) == 0);
        CHECK(contains(said, "network interface tap8"));
        CHECK((contains(said, "Permission denied") || contains(said, "not permitted")));
    });
}

TEST_CASE("reading and writing tell nothing to do, something wrong and the end apart") {
    in_network_namespace([] {
        Tap tap = Tap::open("tap9");
        std::array<std::byte, 100> bytes{};
        const iovec piece{bytes.data(), bytes.size()};
        CHECK(tap.read({&piece, 1}).status == Tap::Status::would_block);
        CHECK(tap.write({&piece, 1}).status == Tap::Status::refused);  // the link is down
        TestInterface{"tap9"}.set_up("10.9.0.1");
        const auto written = tap.write({&piece, 1});
        CHECK(written.status == Tap::Status::done);
        CHECK(written.size_bytes == 100);
        const iovec runt{bytes.data(), 20};
        CHECK(tap.write({&runt, 1}).status == Tap::Status::refused);
        bytes[0] = std::byte{1};  // the checksum's place is past the end
        bytes[7] = std::byte{0xFF};
        CHECK(tap.write({&piece, 1}).status == Tap::Status::refused);
    });
}

}  // namespace
}  // namespace shoal::backend
