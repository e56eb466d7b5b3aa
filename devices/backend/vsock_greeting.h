// VsockGreeting: what a host program says before it is connected to the guest: "CONNECT <port>\n".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace shoal::backend {

// The port in a line (without its end), as Firecracker reads it: two words, the first in any case.
[[nodiscard]] std::optional<std::uint32_t> parse_connect_line(std::string_view line) noexcept;

class VsockGreeting {
public:
    // With its end. Firecracker's limit.
    static constexpr std::size_t max_line_bytes = 32;

    enum class Status { unfinished, finished, failed };

    // Reads what is there, and nothing behind the line: that is for the guest.
    [[nodiscard]] Status read(int fd) noexcept;
    // Once it is finished.
    [[nodiscard]] std::uint32_t port() const noexcept { return port_; }

private:
    [[nodiscard]] Status parse(std::size_t size_bytes) noexcept;

    std::array<char, max_line_bytes> line_{};
    std::size_t size_ = 0;
    std::uint32_t port_ = 0;
};

}  // namespace shoal::backend
