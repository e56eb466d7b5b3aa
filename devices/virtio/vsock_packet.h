// A vsock packet in a chain's buffers: a header, however it is cut into pieces, and behind it the
// payload, which stays where it is.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include "devices/abi/virtio_vsock.h"
#include "devices/virtio/queue.h"

namespace shoal::virtio {

using Buffers = std::span<const std::span<std::byte>>;

// A part of a chain's buffers, for readv and writev. Borrows guest memory, as the chain does.
class VsockPayload {
public:
    // All that is behind the header in `buffers`, `limit` bytes at most.
    void assign(Buffers buffers, std::size_t limit) noexcept;
    // Keeps no more than this.
    void shorten(std::size_t limit) noexcept;

    [[nodiscard]] std::span<const iovec> pieces() const noexcept {
        return std::span{pieces_}.first(count_);
    }
    [[nodiscard]] std::size_t size_bytes() const noexcept { return size_; }

private:
    std::array<iovec, Queue::max_segments> pieces_;
    std::size_t count_ = 0;
    std::size_t size_ = 0;
};

// A copy. None when the buffers are too small.
[[nodiscard]] std::optional<abi::virtio::vsock::Header> read_header(Buffers buffers) noexcept;
// There is room for it.
void write_header(Buffers buffers, const abi::virtio::vsock::Header& header) noexcept;

}  // namespace shoal::virtio
