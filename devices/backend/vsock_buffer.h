// VsockBuffer: bytes from the guest that a full unix socket did not take yet.
//
// A ring of fixed capacity, which is the credit that the guest is given; its memory is there only
// while it is not empty.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace shoal::backend {

class VsockBuffer {
public:
    // As much as Linux puts into one packet.
    static constexpr std::size_t capacity = 64 * 1024;

    [[nodiscard]] std::size_t size_bytes() const noexcept { return size_; }
    [[nodiscard]] std::size_t free_bytes() const noexcept { return capacity - size_; }

    // Appends all but the first `skip` bytes; the rest fits. False: the host has no memory.
    [[nodiscard]] bool push(std::span<const iovec> from, std::size_t skip) noexcept;
    // The oldest bytes first.
    [[nodiscard]] std::array<iovec, 2> pieces() const noexcept;
    void pop(std::size_t size_bytes) noexcept;
    void clear() noexcept { pop(size_); }

private:
    void append(std::span<const std::byte> bytes) noexcept;

    std::unique_ptr<std::byte[]> bytes_;
    std::size_t start_ = 0;
    std::size_t size_ = 0;
};

}  // namespace shoal::backend
