// What ioctls tell of network interfaces.
#include "guest/kernel/net/interface_requests.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

namespace shoal::guest {
namespace {

const std::vector<NetInterface> interfaces{
    {1, "lo", true, true, 65536, {}, {{2, 8, {std::byte{127}, {}, {}, std::byte{1}}, false}}},
    {2,
     "eth0",
     false,
     true,
     1500,
     {std::byte{2}, {}, {}, {}, {}, std::byte{9}},
     {{10, 64, {std::byte{0xFE}, std::byte{0x80}}, true},
      {2, 20, {std::byte{10}, std::byte{88}, std::byte{17}, std::byte{2}}, false}}},
    {3, "eth1", false, false, 1400, {}, {}}};

InterfaceRequest named(const std::string& name) {
    InterfaceRequest request;
    name.copy(request.name.data(), request.name.size());
    return request;
}

template <typename T>
T value_of(const InterfaceRequest& request, std::size_t offset = 0) {
    T value;
    std::memcpy(&value, request.value.data() + offset, sizeof value);
    return value;
}

// In the network's order, of the struct sockaddr_in that is told.
std::uint32_t address_by(InterfaceCall call, const std::string& name) {
    InterfaceRequest request = named(name);
    REQUIRE(answer_interface_call(static_cast<std::uint32_t>(call), request, interfaces));
    CHECK(value_of<std::uint16_t>(request) == 2);
    return __builtin_bswap32(value_of<std::uint32_t>(request, 4));
}

Result<void> ask(InterfaceCall call, InterfaceRequest& request) {
    return answer_interface_call(static_cast<std::uint32_t>(call), request, interfaces);
}

TEST_CASE("an interface is found by its name, and its name by its index") {
    InterfaceRequest request = named("eth0");
    REQUIRE(ask(InterfaceCall::index, request));
    CHECK(value_of<std::uint32_t>(request) == 2);
    request.name = {};
    REQUIRE(ask(InterfaceCall::name, request));
    CHECK(std::string{request.name.data()} == "eth0");
}

TEST_CASE("address, netmask and broadcast address are those of IPv4") {
    CHECK(address_by(InterfaceCall::address, "eth0") == 0x0A581102);
    CHECK(address_by(InterfaceCall::netmask, "eth0") == 0xFFFFF000);
    CHECK(address_by(InterfaceCall::broadcast, "eth0") == 0x0A581FFF);
    CHECK(address_by(InterfaceCall::netmask, "lo") == 0xFF000000);
    InterfaceRequest request = named("eth1");
    CHECK(ask(InterfaceCall::address, request).error() == Errno::addrnotavail);
}

TEST_CASE("flags, size of packets and hardware address are told") {
    InterfaceRequest request = named("eth0");
    REQUIRE(ask(InterfaceCall::flags, request));
    CHECK(value_of<std::uint16_t>(request) == 0x1043);  // up, broadcast, running, multicast
    request = named("eth1");
    REQUIRE(ask(InterfaceCall::flags, request));
    CHECK(value_of<std::uint16_t>(request) == 0x1002);
    REQUIRE(ask(InterfaceCall::mtu, request));
    CHECK(value_of<std::uint32_t>(request) == 1400);
    request = named("eth0");
    REQUIRE(ask(InterfaceCall::hardware, request));
    CHECK(value_of<std::uint16_t>(request) == 1);
    CHECK(value_of<std::uint8_t>(request, 2) == 2);
    CHECK(value_of<std::uint8_t>(request, 7) == 9);
    request = named("lo");
    REQUIRE(ask(InterfaceCall::hardware, request));
    CHECK(value_of<std::uint16_t>(request) == 772);
}

TEST_CASE("what is not there, or not known, is refused") {
    InterfaceRequest request = named("eth7");
    CHECK(ask(InterfaceCall::index, request).error() == Errno::nodev);
    request = named("a name of 16 chrs");  // without an end
    CHECK(ask(InterfaceCall::index, request).error() == Errno::nodev);
    request = named("eth0");
    CHECK(answer_interface_call(0x8914, request, interfaces).error() == Errno::notty);
}

TEST_CASE("interfaces with an IPv4 address are listed") {
    const auto list = list_of(interfaces);
    REQUIRE(list.size() == 2);
    CHECK(std::string{list[1].name.data()} == "eth0");
    CHECK(value_of<std::uint32_t>(list[1], 4) == __builtin_bswap32(0x0A581102));
}

}  // namespace
}  // namespace shoal::guest
