// The table of families: a line for each.
#include "guest/kernel/net/families.h"

#include <array>

namespace shoal::guest {
namespace {

constexpr std::array<SocketFamily, 0> families{};

}  // namespace

const SocketFamily* find_socket_family(std::uint16_t number) noexcept {
    for (const SocketFamily& family : families) {
        if (family.number == number) {
            return &family;
        }
    }
    return nullptr;
}

}  // namespace shoal::guest
