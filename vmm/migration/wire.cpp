// A connection without encryption.
#include "vmm/migration/wire.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "devices/host/check.h"

namespace shoal::migration {
namespace {

class PlainWire final : public Wire {
public:
    PlainWire(host::UniqueFd socket, const host::EventFd& interrupt)
        : socket_{std::move(socket)}, interrupt_{interrupt} {}

    std::expected<void, WireError> write(std::span<const std::byte> bytes) noexcept override {
        while (!bytes.empty()) {
            const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (count > 0) {
                bytes = bytes.subspan(static_cast<std::size_t>(count));
            } else if (const auto ready = wait_after_error(POLLOUT); !ready) {
                return ready;
            }
        }
        return {};
    }

    std::expected<std::size_t, WireError> read_some(std::span<std::byte> into) noexcept override {
        while (true) {
            const ssize_t count = ::recv(socket_.get(), into.data(), into.size(), 0);
            if (count > 0) {
                return static_cast<std::size_t>(count);
            }
            if (count == 0) {
                return std::unexpected(WireError::closed);
            }
            if (const auto ready = wait_after_error(POLLIN); !ready) {
                return std::unexpected(ready.error());
            }
        }
    }

    void hang_up() noexcept override { ::shutdown(socket_.get(), SHUT_RDWR); }

private:
    [[nodiscard]] std::expected<void, WireError> wait_after_error(short events) const noexcept {
        if (errno == EINTR) {
            return {};
        }
        if (errno != EAGAIN) {
            return std::unexpected(WireError::closed);
        }
        return wait_until_ready(socket_.get(), events, interrupt_);
    }

    host::UniqueFd socket_;
    const host::EventFd& interrupt_;
};

}  // namespace

std::string_view describe(WireError error) noexcept {
    switch (error) {
        case WireError::closed:
            return "the connection to the other side was lost";
        case WireError::timed_out:
            return "the other side did not move for 5 s";
        case WireError::interrupted:
            return "it was cancelled";
    }
    SHOAL_CHECK(false);
}

std::expected<void, WireError> wait_until_ready(int fd, short events,
                                                const host::EventFd& interrupt,
                                                std::chrono::milliseconds timeout) noexcept {
    std::array<pollfd, 2> waits{{{fd, events, 0}, {interrupt.fd(), POLLIN, 0}}};
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        const int count = ::poll(waits.data(), waits.size(),
                                 static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        if (count == 0) {
            return std::unexpected(WireError::timed_out);
        }
        if (count > 0) {
            return waits[1].revents != 0
                       ? std::expected<void, WireError>{std::unexpected(WireError::interrupted)}
                       : std::expected<void, WireError>{};
        }
    }
}

std::unique_ptr<Wire> make_plain_wire(host::UniqueFd socket, const host::EventFd& interrupt) {
    return std::make_unique<PlainWire>(std::move(socket), interrupt);
}

}  // namespace shoal::migration
