// A unix socket's path as the kernel wants it.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <string>

namespace shoal::backend {

inline constexpr std::size_t max_unix_path_bytes = sizeof(sockaddr_un::sun_path) - 1;

// None when the path is empty or does not fit.
[[nodiscard]] inline std::optional<sockaddr_un> unix_address(const std::string& path) noexcept {
    if (path.empty() || path.size() > max_unix_path_bytes) {
        return std::nullopt;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

}  // namespace shoal::backend
