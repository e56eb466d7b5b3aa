// VhostUserChannel: messages of the vhost-user protocol over a unix socket, with a time limit.
//
// The backend is trusted with guest memory, but what it answers is checked all the same.
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "devices/host/unique_fd.h"

namespace shoal::backend {

template <typename T>
using VhostUserResult = std::expected<T, std::error_code>;

struct VhostUserMessage {
    static constexpr std::size_t max_payload_bytes = 288;
    static constexpr std::size_t max_fds = 8;
    static constexpr std::uint32_t version = 1;
    static constexpr std::uint32_t flag_reply = 1 << 2;
    static constexpr std::uint32_t flag_need_reply = 1 << 3;

    struct Header {
        std::uint32_t request = 0;
        std::uint32_t flags = version;
        std::uint32_t size_bytes = 0;
    };
    static_assert(sizeof(Header) == 12);

    Header header;
    std::array<std::byte, max_payload_bytes> payload{};
    std::array<int, max_fds> fds{};  // to send along
    std::size_t fd_count = 0;

    explicit VhostUserMessage(std::uint32_t request) noexcept { header.request = request; }
    template <typename T>
    VhostUserMessage(std::uint32_t request, const T& content) noexcept : VhostUserMessage{request} {
        static_assert(sizeof(T) <= max_payload_bytes);
        header.size_bytes = sizeof content;
        std::memcpy(payload.data(), &content, sizeof content);
    }
    // Of a message that was received.
    template <typename T>
    [[nodiscard]] VhostUserResult<T> content() const noexcept {
        if (header.size_bytes != sizeof(T)) {
            return std::unexpected(std::error_code{EPROTO, std::generic_category()});
        }
        T value;
        std::memcpy(&value, payload.data(), sizeof value);
        return value;
    }
};

class VhostUserChannel {
public:
    // For a whole conversation: somebody waits for its end. A local process that answers from
    // memory takes microseconds.
    static constexpr std::uint64_t time_limit_ms = 1'000;

    // Throws std::system_error or std::invalid_argument, with the path.
    explicit VhostUserChannel(const std::string& socket_path);
    // Connected already.
    explicit VhostUserChannel(host::UniqueFd socket) noexcept : socket_{std::move(socket)} {}

    // From here on there is time_limit_ms for everything that is sent and received.
    void begin_conversation() noexcept;
    [[nodiscard]] VhostUserResult<void> send(const VhostUserMessage& message) const noexcept;
    // Sends; the answer, which is to the same request, replaces the message. Hangs up after a wrong
    // or a late one: what came after it would be taken for the next answer.
    [[nodiscard]] VhostUserResult<void> ask(VhostUserMessage& message) const noexcept;

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }

private:
    [[nodiscard]] VhostUserResult<void> receive(VhostUserMessage& message) const noexcept;
    [[nodiscard]] VhostUserResult<void> receive_bytes(std::span<std::byte> into) const noexcept;
    // For one of poll's events. False: the time is over first.
    [[nodiscard]] bool wait_for(short event) const noexcept;

    host::UniqueFd socket_;
    std::uint64_t deadline_ms_ = 0;
};

}  // namespace shoal::backend
