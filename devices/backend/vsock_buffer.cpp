// A ring of bytes.
#include "devices/backend/vsock_buffer.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "devices/host/check.h"

namespace shoal::backend {

bool VsockBuffer::push(std::span<const iovec> from, std::size_t skip) noexcept {
    if (!bytes_) {
        bytes_.reset(new (std::nothrow) std::byte[capacity]);
        if (!bytes_) {
            return false;
        }
    }
    for (const iovec& piece : from) {
        const std::span bytes{static_cast<const std::byte*>(piece.iov_base), piece.iov_len};
        const std::size_t skipped = std::min(skip, bytes.size());
        skip -= skipped;
        append(bytes.subspan(skipped));
    }
    return true;
}

void VsockBuffer::append(std::span<const std::byte> bytes) noexcept {
    SHOAL_CHECK(bytes.size() <= free_bytes());
    const std::size_t end = (start_ + size_) % capacity;
    const std::size_t first = std::min(bytes.size(), capacity - end);
    std::ranges::copy(bytes.first(first), bytes_.get() + end);
    std::ranges::copy(bytes.subspan(first), bytes_.get());
    size_ += bytes.size();
}

std::array<iovec, 2> VsockBuffer::pieces() const noexcept {
    const std::size_t first = std::min(size_, capacity - start_);
    return {iovec{bytes_.get() + start_, first}, iovec{bytes_.get(), size_ - first}};
}

void VsockBuffer::pop(std::size_t size_bytes) noexcept {
    SHOAL_CHECK(size_bytes <= size_);
    size_ -= size_bytes;
    start_ = (start_ + size_bytes) % capacity;
    if (size_ == 0) {
        bytes_.reset();
        start_ = 0;
    }
}

}  // namespace shoal::backend
