// A ring: what is in it lies in two pieces at most.
#include "guest/kernel/net/vsock_buffer.h"

#include <algorithm>
#include <new>

namespace shoal::guest {

bool VsockBuffer::append(std::span<const std::byte> bytes) noexcept {
    if (!bytes_) {
        bytes_.reset(new (std::nothrow_t{}) std::byte[capacity]);
    }
    if (!bytes_ || bytes.size() > capacity - size_) {
        return false;
    }
    const std::size_t end = (start_ + size_) % capacity;
    const std::size_t first = std::min(bytes.size(), capacity - end);
    std::ranges::copy(bytes.first(first), bytes_.get() + end);
    std::ranges::copy(bytes.subspan(first), bytes_.get());
    size_ += bytes.size();
    return true;
}

bool VsockBuffer::copy(Destination& to, std::size_t count) const {
    const std::size_t first = std::min(count, capacity - start_);
    return to.put({bytes_.get() + start_, first}) && to.put({bytes_.get(), count - first});
}

void VsockBuffer::discard(std::size_t count) noexcept {
    start_ = (start_ + count) % capacity;
    size_ -= count;
}

}  // namespace shoal::guest
