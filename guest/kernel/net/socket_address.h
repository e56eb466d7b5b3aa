// SocketAddress: a struct sockaddr of any family, as the program gave it or will get it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "guest/kernel/fs/directory.h"

namespace shoal::guest {

// Families that have sockets here (<bits/socket.h>).
namespace address_family {
inline constexpr std::uint16_t unspecified = 0;
inline constexpr std::uint16_t local = 1;  // AF_UNIX
inline constexpr std::uint16_t inet = 2;
inline constexpr std::uint16_t inet6 = 10;
inline constexpr std::uint16_t netlink = 16;
inline constexpr std::uint16_t vsock = 40;
}  // namespace address_family

struct SocketAddress {
    static constexpr std::size_t capacity = 128;  // sizeof(struct sockaddr_storage)

    std::array<std::byte, capacity> bytes{};
    std::size_t size = 0;  // 0: no address
    EntryRef directory{};  // where a relative path starts; empty: at the root

    [[nodiscard]] std::uint16_t family() const noexcept {
        std::uint16_t value = 0;
        std::memcpy(&value, bytes.data(), std::min(size, sizeof value));
        return value;
    }
    [[nodiscard]] std::span<const std::byte> view() const noexcept {
        return std::span{bytes}.first(size);
    }

    // As a struct of one family, zeros after what the program gave.
    template <class T>
    [[nodiscard]] T as() const noexcept {
        static_assert(sizeof(T) <= capacity);
        T value{};
        std::memcpy(&value, bytes.data(), std::min(size, sizeof value));
        return value;
    }
    template <class T>
    [[nodiscard]] static SocketAddress of(const T& value) noexcept {
        static_assert(sizeof(T) <= capacity);
        SocketAddress address;
        std::memcpy(address.bytes.data(), &value, sizeof value);
        address.size = sizeof value;
        return address;
    }
};

}  // namespace shoal::guest
