// One interface, one question.
#include "guest/kernel/net/interface_requests.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "guest/kernel/net/socket_address.h"

namespace shoal::guest {
namespace {

constexpr std::uint32_t queue_packets = 1000;

// struct sockaddr_in.
struct Address4 {
    std::uint16_t family = address_family::inet;
    std::uint16_t port = 0;
    std::uint32_t address = 0;  // in the network's order
    std::uint64_t zeros = 0;
};
static_assert(sizeof(Address4) == 16);

// struct sockaddr with a hardware address; the family is its type.
struct HardwareAddress {
    std::uint16_t type = 0;
    std::array<std::byte, 6> mac{};
};

template <typename T>
void put(InterfaceRequest& request, const T& value) {
    static_assert(sizeof value <= sizeof request.value);
    request.value = {};
    std::memcpy(request.value.data(), &value, sizeof value);
}

const NetAddress* address4_of(const NetInterface& interface) {
    const auto found =
        std::ranges::find(interface.addresses, address_family::inet, &NetAddress::family);
    return found == interface.addresses.end() ? nullptr : &*found;
}

std::uint32_t bytes4(const NetAddress& address) {
    std::uint32_t bytes = 0;
    std::memcpy(&bytes, address.bytes.data(), sizeof bytes);
    return bytes;
}

// In the network's order.
std::uint32_t netmask_of(const NetAddress& address) {
    const unsigned free_bits = 32U - std::min<unsigned>(address.prefix_bits, 32);
    return free_bits == 32 ? 0 : __builtin_bswap32(~0U << free_bits);
}

Result<void> put_address(InterfaceCall call, InterfaceRequest& request,
                         const NetInterface& interface) {
    const NetAddress* address = address4_of(interface);
    if (address == nullptr) {
        return fail(Errno::addrnotavail);
    }
    const std::uint32_t mask = netmask_of(*address);
    std::uint32_t bytes = bytes4(*address);
    if (call == InterfaceCall::netmask) {
        bytes = mask;
    } else if (call == InterfaceCall::broadcast) {
        bytes |= ~mask;
    }
    put(request, Address4{.address = bytes});
    return {};
}

const NetInterface* find(std::uint32_t call, const InterfaceRequest& request,
                         std::span<const NetInterface> interfaces) {
    std::uint32_t index = 0;
    std::memcpy(&index, request.value.data(), sizeof index);
    const std::string_view name{request.name.data(),
                                ::strnlen(request.name.data(), request.name.size())};
    const bool by_index = static_cast<InterfaceCall>(call) == InterfaceCall::name;
    const auto found = std::ranges::find_if(interfaces, [&](const NetInterface& interface) {
        return by_index ? interface.index == index : interface.name == name;
    });
    return found == interfaces.end() ? nullptr : &*found;
}

void put_name(InterfaceRequest& request, const NetInterface& interface) {
    request.name = {};
    interface.name.copy(request.name.data(), request.name.size() - 1);
}

}  // namespace

Result<void> answer_interface_call(std::uint32_t call, InterfaceRequest& request,
                                   std::span<const NetInterface> interfaces) {
    const auto what = static_cast<InterfaceCall>(call);
    const NetInterface* interface = find(call, request, interfaces);
    constexpr InterfaceCall known[] = {InterfaceCall::name,    InterfaceCall::flags,
                                       InterfaceCall::address, InterfaceCall::broadcast,
                                       InterfaceCall::netmask, InterfaceCall::metric,
                                       InterfaceCall::mtu,     InterfaceCall::hardware,
                                       InterfaceCall::index,   InterfaceCall::queue_length};
    if (std::ranges::find(known, what) == std::end(known)) {
        return fail(Errno::notty);
    }
    if (interface == nullptr) {
        return fail(Errno::nodev);
    }
    switch (what) {
        case InterfaceCall::name:
            put_name(request, *interface);
            break;
        case InterfaceCall::flags:
            put(request, static_cast<std::uint16_t>(interface_flags(*interface)));
            break;
        case InterfaceCall::address:
        case InterfaceCall::broadcast:
        case InterfaceCall::netmask:
            return put_address(what, request, *interface);
        case InterfaceCall::metric:
            put(request, std::uint32_t{0});
            break;
        case InterfaceCall::mtu:
            put(request, interface->mtu);
            break;
        case InterfaceCall::hardware:
            put(request, HardwareAddress{hardware_type(*interface), interface->mac});
            break;
        case InterfaceCall::index:
            put(request, interface->index);
            break;
        case InterfaceCall::queue_length:
            put(request, queue_packets);
            break;
    }
    return {};
}

std::vector<InterfaceRequest> list_of(std::span<const NetInterface> interfaces) {
    std::vector<InterfaceRequest> list;
    for (const NetInterface& interface : interfaces) {
        InterfaceRequest request;
        put_name(request, interface);
        if (put_address(InterfaceCall::address, request, interface)) {
            list.push_back(request);
        }
    }
    return list;
}

}  // namespace shoal::guest
