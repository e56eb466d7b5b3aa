// Chains of the receive queue, end to end.
#include "devices/virtio/net_buffers.h"

#include <cstring>

#include "devices/abi/virtio_net.h"
#include "devices/host/check.h"

namespace shoal::virtio {

namespace net = abi::virtio::net;

std::expected<void, QueueError> NetBuffers::gather(Queue& queue,
                                                   std::size_t wanted_bytes) noexcept {
    while (size_bytes_ < wanted_bytes && has_room()) {
        const auto chain = queue.pop();
        if (!chain) {
            return std::unexpected(chain.error());
        }
        if (!*chain) {
            return {};
        }
        std::uint64_t size_bytes = 0;  // a chain is less than 4 GiB
        for (const auto& buffer : (*chain)->writable) {
            size_bytes += buffer.size();
        }
        if (size_bytes < sizeof(net::Header)) {
            return std::unexpected(QueueError::unusable_buffer);
        }
        hold(**chain, static_cast<std::uint32_t>(size_bytes));
    }
    return {};
}

void NetBuffers::hold(const Chain& chain, std::uint32_t size_bytes) noexcept {
    for (const auto& buffer : chain.writable) {
        pieces_.push_back({buffer.data(), buffer.size()});
    }
    chains_.push_back({chain.head, static_cast<std::uint16_t>(chain.writable.size()), size_bytes});
    size_bytes_ += size_bytes;
}

std::span<const iovec> NetBuffers::pieces(std::span<std::byte> overflow) noexcept {
    pieces_.push_back({overflow.data(), overflow.size()});
    const auto all = pieces_.view();
    pieces_.pop_back();
    return all;
}

void NetBuffers::write_at(std::size_t offset, std::span<const std::byte> bytes) noexcept {
    for (const iovec& piece : pieces_.view()) {
        if (bytes.empty()) {
            return;
        }
        if (offset >= piece.iov_len) {
            offset -= piece.iov_len;
            continue;
        }
        const std::size_t count = std::min(piece.iov_len - offset, bytes.size());
        std::memcpy(static_cast<std::byte*>(piece.iov_base) + offset, bytes.data(), count);
        bytes = bytes.subspan(count);
        offset = 0;
    }
    SHOAL_CHECK(bytes.empty());
}

void NetBuffers::deliver(Queue& queue, std::size_t packet_bytes) noexcept {
    SHOAL_CHECK(packet_bytes <= size_bytes_);
    std::uint16_t chain_count = 0;
    std::size_t piece_count = 0;
    for (const Held& chain : chains_.view()) {
        if (packet_bytes == 0) {
            break;
        }
        const auto filled =
            static_cast<std::uint32_t>(std::min<std::size_t>(packet_bytes, chain.size_bytes));
        used_[chain_count++] = {chain.head, filled};
        packet_bytes -= filled;
        piece_count += chain.piece_count;
        size_bytes_ -= chain.size_bytes;
    }
    // The kernel leaves num_buffers alone. Without mergeable buffers it is 1 (5.1.6.4.1).
    write_at(offsetof(net::Header, num_buffers), std::as_bytes(std::span{&chain_count, 1}));
    queue.push_used({used_.data(), chain_count});
    chains_.pop_front(chain_count);
    pieces_.pop_front(piece_count);
}

void NetBuffers::give_back(Queue& queue) noexcept {
    queue.undo_pops(static_cast<std::uint16_t>(chains_.size()));
    clear();
}

void NetBuffers::clear() noexcept {
    pieces_.clear();
    chains_.clear();
    size_bytes_ = 0;
}

}  // namespace shoal::virtio
