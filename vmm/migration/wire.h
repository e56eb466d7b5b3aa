// Wire: a migration's connection, for one thread that waits: each call has a deadline, and others
// may interrupt it.
#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "devices/host/event_fd.h"
#include "devices/host/unique_fd.h"
#include "vmm/migration/address.h"

namespace shoal::migration {

// How long a peer may let the other side wait without a byte. While it is the source that waits
// for the destination's `ready`, the guest stands still.
inline constexpr std::chrono::milliseconds patience{5000};

enum class WireError {
    closed,       // by the peer, or lost
    timed_out,    // nothing moved for as long as `patience`
    interrupted,  // by this process
};

[[nodiscard]] std::string_view describe(WireError error) noexcept;

class Wire {
public:
    virtual ~Wire() = default;
    // All of them.
    [[nodiscard]] virtual std::expected<void, WireError> write(
        std::span<const std::byte> bytes) noexcept = 0;
    // Some of them, at least one; how many.
    [[nodiscard]] virtual std::expected<std::size_t, WireError> read_some(
        std::span<std::byte> into) noexcept = 0;
    // Ends it for both sides, and all waits for it. Any thread.
    virtual void hang_up() noexcept = 0;
};

// Waits until `fd` is ready for `events` (poll's) or has an error. `interrupt`, which stays
// signalled, ends every wait.
[[nodiscard]] std::expected<void, WireError> wait_until_ready(
    int fd, short events, const host::EventFd& interrupt,
    std::chrono::milliseconds timeout = patience) noexcept;

// Over a connected socket as it is. Borrows `interrupt`.
[[nodiscard]] std::unique_ptr<Wire> make_plain_wire(host::UniqueFd socket,
                                                    const host::EventFd& interrupt);

}  // namespace shoal::migration
