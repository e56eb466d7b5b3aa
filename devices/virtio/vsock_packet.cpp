// Headers across buffers.
#include "devices/virtio/vsock_packet.h"

#include <algorithm>
#include <cstring>

#include "devices/host/check.h"

namespace shoal::virtio {

using abi::virtio::vsock::Header;

void VsockPayload::assign(Buffers buffers, std::size_t limit) noexcept {
    count_ = 0;
    size_ = 0;
    std::size_t skip = sizeof(Header);
    for (const std::span<std::byte> buffer : buffers) {
        const std::size_t skipped = std::min(skip, buffer.size());
        skip -= skipped;
        const auto rest =
            buffer.subspan(skipped).first(std::min(buffer.size() - skipped, limit - size_));
        if (!rest.empty()) {
            pieces_[count_++] = {rest.data(), rest.size()};
            size_ += rest.size();
        }
    }
}

void VsockPayload::shorten(std::size_t limit) noexcept {
    while (size_ > limit) {
        iovec& last = pieces_[count_ - 1];
        const std::size_t cut = std::min(last.iov_len, size_ - limit);
        last.iov_len -= cut;
        size_ -= cut;
        count_ -= last.iov_len == 0 ? 1 : 0;
    }
}

std::optional<Header> read_header(Buffers buffers) noexcept {
    Header header;
    const auto bytes = std::as_writable_bytes(std::span{&header, 1});
    std::size_t done = 0;
    for (const std::span<std::byte> buffer : buffers) {
        const std::size_t count = std::min(buffer.size(), bytes.size() - done);
        std::memcpy(bytes.data() + done, buffer.data(), count);
        done += count;
    }
    return done == bytes.size() ? std::optional{header} : std::nullopt;
}

void write_header(Buffers buffers, const Header& header) noexcept {
    auto rest = std::as_bytes(std::span{&header, 1});
    for (const std::span<std::byte> buffer : buffers) {
        const std::size_t count = std::min(buffer.size(), rest.size());
        std::memcpy(buffer.data(), rest.data(), count);
        rest = rest.subspan(count);
    }
    SHOAL_CHECK(rest.empty());
}

}  // namespace shoal::virtio
