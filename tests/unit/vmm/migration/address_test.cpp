#include "vmm/migration/address.h"

#include <doctest/doctest.h>

namespace shoal::migration {
namespace {

using enum Address::Kind;

TEST_CASE("addresses are unix:PATH and tcp:HOST:PORT, and are written as they are read") {
    CHECK(parse_address("unix:/run/wire") == Address{unix_socket, "/run/wire", 0});
    CHECK(parse_address("unix:a:b") == Address{unix_socket, "a:b", 0});
    CHECK(parse_address("tcp:10.0.0.1:4000") == Address{tcp, "10.0.0.1", 4000});
    CHECK(parse_address("tcp:[::1]:65535") == Address{tcp, "::1", 65535});
    for (const char* text : {"unix:/run/wire", "tcp:10.0.0.1:4000", "tcp:[::1]:65535"}) {
        CHECK(to_text(parse_address(text).value()) == text);
    }
}

TEST_CASE("whatever else is no address") {
    for (const char* text :
         {"", "unix:", "tcp:", "tcp::", "tcp:host", "tcp::1", "tcp:host:", "tcp:host:x", "tcp:[]:1",
          "tcp:[[a]]:1", "tcp:host:65536", "tcp:host:-1", "tcp:host:1x", "tcp:::1:5", "udp:host:1",
          "/run/wire"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_address(text));
    }
    using namespace std::string_view_literals;
    CHECK_FALSE(parse_address("unix:a\0b"sv));
    CHECK_FALSE(parse_address("tcp:127.0.0.1\0:1"sv));
}

TEST_CASE("what cannot be listened at is told in one sentence") {
    CHECK_THROWS_WITH(static_cast<void>(listen_at({tcp, "localhost", 1})),
                      "localhost is no IPv4 or IPv6 address");
    CHECK_THROWS_WITH(static_cast<void>(listen_at({unix_socket, std::string(108, 'a'), 0})),
                      doctest::Contains("has at most 107 bytes"));
    CHECK_THROWS_WITH(static_cast<void>(start_connecting({unix_socket, "/nowhere/wire", 0})),
                      doctest::Contains("cannot connect to unix:/nowhere/wire"));
}

TEST_CASE("port 0 is one that the host chooses") {
    const Address asked{tcp, "127.0.0.1", 0};
    const auto listener = listen_at(asked);
    const Address bound = bound_address(asked, listener.get());
    CHECK(bound.port != 0);
    CHECK(bound.host == "127.0.0.1");
}

}  // namespace
}  // namespace shoal::migration
