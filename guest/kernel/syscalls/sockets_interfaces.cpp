// ioctl on sockets: which network interfaces there are.
#include <algorithm>

#include "guest/kernel/net/families.h"
#include "guest/kernel/net/interface_requests.h"
#include "guest/kernel/syscalls/sockets_support.h"

namespace shoal::guest::sockets {

using namespace files;

namespace {

// struct ifconf.
struct UserInterfaceList {
    std::uint32_t size_bytes;
    std::uint32_t padding;
    UserAddress requests;
};

// As many as there is room for.
std::int64_t list_interfaces_at(UserAddress argument) {
    UserInterfaceList to{};
    if (!fetch(to, argument)) {
        return negative(Errno::fault);
    }
    const auto list = list_of(network_interfaces());
    std::size_t count = list.size();
    if (to.requests != 0) {
        count = std::min<std::size_t>(count, to.size_bytes / sizeof(InterfaceRequest));
        for (std::size_t i = 0; i < count; ++i) {
            if (store(to.requests + i * sizeof list[i], list[i]) != 0) {
                return negative(Errno::fault);
            }
        }
    }
    return store(argument, static_cast<std::uint32_t>(count * sizeof(InterfaceRequest)));
}

}  // namespace

std::int64_t interface_request(std::uint32_t call, UserAddress argument) {
    if (call == list_interfaces) {
        return list_interfaces_at(argument);
    }
    InterfaceRequest request;
    if (!fetch(request, argument)) {
        return negative(Errno::fault);
    }
    const auto answered = answer_interface_call(call, request, network_interfaces());
    return answered ? store(argument, request) : negative(answered.error());
}

}  // namespace shoal::guest::sockets
