// VsockBuffer: the bytes that a vsock connection holds for its reader, a ring that takes memory
// from the first byte on.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "guest/kernel/fs/transfer.h"

namespace shoal::guest {

class VsockBuffer {
public:
    static constexpr std::size_t capacity = 64 * 1024;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    // False when they do not fit, or memory is gone; then nothing was taken.
    [[nodiscard]] bool append(std::span<const std::byte> bytes) noexcept;
    // The first `count` bytes, which are there. False when `to` does not take them.
    [[nodiscard]] bool copy(Destination& to, std::size_t count) const;
    void discard(std::size_t count) noexcept;

private:
    std::unique_ptr<std::byte[]> bytes_;
    std::size_t start_ = 0;
    std::size_t size_ = 0;
};

}  // namespace shoal::guest
