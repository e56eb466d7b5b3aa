// VsockSocket: a host's end of a vsock stream: one non-blocking unix stream socket.
//
// On the event-loop thread only.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "devices/host/unique_fd.h"

namespace shoal::backend {

enum class SocketStatus {
    moved,        // some bytes, perhaps not all
    would_block,  // now none
    ended,        // the other side sends no more, or takes no more
    failed,
};

struct SocketResult {
    SocketStatus status = SocketStatus::would_block;
    std::size_t size_bytes = 0;  // not 0 exactly when moved
};

class VsockSocket {
public:
    // `fd` is connected and does not block.
    explicit VsockSocket(host::UniqueFd fd) noexcept : fd_{std::move(fd)} {}

    // To whoever listens at `path`, at once or not at all.
    [[nodiscard]] static std::optional<VsockSocket> try_connect(const std::string& path) noexcept;

    [[nodiscard]] SocketResult read(std::span<const iovec> into) const noexcept;
    [[nodiscard]] SocketResult write(std::span<const iovec> from) const noexcept;
    // The other side reads an end after what was written; its writes fail.
    void shutdown_write() const noexcept;
    void shutdown_read() const noexcept;

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }  // -1: closed
    void close() noexcept { fd_ = host::UniqueFd{}; }

private:
    host::UniqueFd fd_;
};

}  // namespace shoal::backend
