// VhostUser: a connection to a process that serves a virtio device's queues (QEMU's
// docs/interop/vhost-user): this is the frontend, the process is the backend.
//
// Each message is answered before the next is sent. Each call here is a conversation that takes
// VhostUserChannel::time_limit_ms at most; who is slower is treated like one that hung up. After an
// error the connection is of no more use. Not thread-safe: one conversation at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>

#include "devices/backend/vhost_user_channel.h"

namespace shoal::backend {

// A piece of guest memory that the backend maps.
struct VhostUserRegion {
    std::uint64_t guest_address = 0;
    std::span<std::byte> bytes;
    int fd = -1;
    std::uint64_t file_offset = 0;
};

struct VhostUserRing {
    std::uint32_t size = 0;
    // In this process' memory, within the regions.
    const std::byte* descriptors = nullptr;
    const std::byte* avail = nullptr;
    const std::byte* used = nullptr;
    int kick_fd = -1;  // an eventfd that tells the backend of available buffers
    int call_fd = -1;  // an eventfd that the backend signals when the driver wants an interrupt
};

// What was done, and how long there was for it where that was too long.
[[nodiscard]] std::system_error vhost_user_error(std::error_code error, std::string doing);

class VhostUser {
public:
    template <typename T>
    using Result = VhostUserResult<T>;

    static constexpr std::size_t max_regions = VhostUserMessage::max_fds;
    static constexpr std::size_t max_config_bytes = 256;

    // Connects and agrees on the protocol. Throws std::system_error with the path, and
    // std::runtime_error when the backend lacks what the frontend needs.
    explicit VhostUser(const std::string& socket_path);
    // The same, on a channel that is there; `socket_path` is for messages.
    VhostUser(VhostUserChannel&& channel, const std::string& socket_path);

    // The device's, without those of the protocol.
    [[nodiscard]] std::uint64_t features() const noexcept { return features_; }
    // Reads the configuration from its start.
    [[nodiscard]] Result<void> read_config(std::span<std::byte> into) noexcept;

    // From here on the backend serves queue 0, from its beginning, with these features.
    [[nodiscard]] Result<void> start(std::uint64_t features,
                                     std::span<const VhostUserRegion> regions,
                                     const VhostUserRing& ring) noexcept;
    // The backend takes no more chains. When it has used all that it took it leaves guest memory
    // alone; some answer before that, so nothing should be in flight.
    [[nodiscard]] Result<void> stop() noexcept;

    // Hangs up (EPOLLRDHUP) when the backend goes away.
    [[nodiscard]] int fd() const noexcept { return channel_.fd(); }

private:
    using Message = VhostUserMessage;

    void negotiate(const std::string& socket_path);
    // Sends and has the backend confirm.
    [[nodiscard]] Result<void> tell(Message& message) const noexcept;
    [[nodiscard]] Result<std::uint64_t> ask_number(std::uint32_t request) const noexcept;
    [[nodiscard]] Result<void> tell_number(std::uint32_t request,
                                           std::uint64_t value) const noexcept;
    [[nodiscard]] Result<void> share_memory(
        std::span<const VhostUserRegion> regions) const noexcept;
    [[nodiscard]] Result<void> set_up_ring(const VhostUserRing& ring) const noexcept;
    [[nodiscard]] Result<void> tell_ring_state(std::uint32_t request,
                                               std::uint32_t value) const noexcept;
    [[nodiscard]] Result<void> tell_ring_fd(std::uint32_t request, int fd) const noexcept;

    VhostUserChannel channel_;
    std::uint64_t features_ = 0;
    bool confirms_ = false;  // the backend can answer every message
};

}  // namespace shoal::backend
