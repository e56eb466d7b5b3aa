// Copying out of a chain: the bytes of its readable buffers, wherever the driver cut them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "devices/virtio/queue.h"

namespace shoal::virtio {

// At most 2^32 - 1: the queue refuses longer chains.
[[nodiscard]] inline std::uint64_t size_of(std::span<const std::span<std::byte>> buffers) noexcept {
    std::uint64_t size_bytes = 0;
    for (const std::span<std::byte> buffer : buffers) {
        size_bytes += buffer.size();
    }
    return size_bytes;
}

// The first bytes of the readable buffers; fewer than `to` has room for if there are fewer.
// Returns how many. The guest may change the buffers meanwhile: look at the copy only.
inline std::size_t copy_readable(const Chain& chain, std::span<std::byte> to) noexcept {
    std::size_t done = 0;
    for (const std::span<std::byte> buffer : chain.readable) {
        const std::size_t count = std::min(buffer.size(), to.size() - done);
        std::memcpy(to.data() + done, buffer.data(), count);
        done += count;
    }
    return done;
}

}  // namespace shoal::virtio
