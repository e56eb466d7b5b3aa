// UnixAddress: a struct sockaddr_un (unix(7)): a path, an abstract name, or nothing.
#pragma once

#include <optional>
#include <string_view>

#include "guest/kernel/errno.h"
#include "guest/kernel/net/socket_address.h"

namespace shoal::guest {

class UnixAddress {
public:
    static constexpr std::size_t family_bytes = 2;
    static constexpr std::size_t path_bytes_max = 108;

    UnixAddress() noexcept {
        address_.size = family_bytes;
        address_.bytes[0] = std::byte{address_family::local};
    }
    // Errno::inval for another family and for what is too long.
    [[nodiscard]] static Result<UnixAddress> parse(const SocketAddress& address);

    [[nodiscard]] bool is_unnamed() const noexcept { return address_.size == family_bytes; }
    [[nodiscard]] bool is_abstract() const noexcept {
        return !is_unnamed() && address_.bytes[family_bytes] == std::byte{0};
    }
    // Without the NUL at its end; of an abstract name with the one at its start.
    [[nodiscard]] std::string_view name() const noexcept;
    [[nodiscard]] const SocketAddress& socket_address() const noexcept { return address_; }

private:
    SocketAddress address_;
};

}  // namespace shoal::guest
