// From the driver to the TAP.
#include "devices/virtio/net_transmitter.h"

#include <algorithm>
#include <cstring>

#include "devices/host/clock.h"

namespace shoal::virtio {

namespace net = abi::virtio::net;

std::expected<NetTransmitter::Progress, QueueError> NetTransmitter::transmit(
    Queue& queue) noexcept {
    // They stay suppressed while packets wait: the driver can only add to the queue.
    queue.suppress_notifications();
    allowance_ = allowance_per_call;
    while (allowance_.take_chain()) {
        if (waits_for_tap_ || limiter_.is_blocked()) {
            return Progress::idle;
        }
        const auto chain = queue.pop();
        if (!chain) {
            return std::unexpected(chain.error());
        }
        if (!*chain) {
            if (queue.enable_notifications()) {
                continue;
            }
            return Progress::idle;
        }
        if (send(**chain) == Fate::waits) {
            queue.undo_pops(1);
            return Progress::idle;
        }
        queue.push_used((*chain)->head, 0);
    }
    return Progress::unfinished;
}

NetTransmitter::Fate NetTransmitter::send(const Chain& chain) noexcept {
    std::uint64_t size_bytes = 0;  // a chain is less than 4 GiB
    std::size_t count = 0;
    for (const auto& buffer : chain.readable) {
        pieces_[count++] = {buffer.data(), buffer.size()};
        size_bytes += buffer.size();
    }
    if (size_bytes < net::packet_bytes_min || size_bytes > net::packet_bytes_max) {
        ++metrics_.tx_malformed_frames;
        ++metrics_.tx_fails;
        return Fate::used;
    }
    const std::size_t frame_bytes = size_bytes - sizeof(net::Header);
    if (!limiter_.consume(frame_bytes)) {
        ++metrics_.tx_rate_limiter_throttled;
        return Fate::waits;
    }
    const Fate fate = write(std::span{pieces_}.first(count), frame_bytes);
    if (fate == Fate::used) {
        check_source(chain);
    }
    return fate;
}

NetTransmitter::Fate NetTransmitter::write(std::span<const iovec> packet,
                                           std::size_t frame_bytes) noexcept {
    const std::uint64_t begun_ns = host::monotonic_ns();
    const backend::Tap::Status status = tap_.write(packet).status;
    metrics_.tap_write_agg.record(host::monotonic_ns() - begun_ns);
    switch (status) {
        case backend::Tap::Status::done:
            allowance_.spend(frame_bytes);
            metrics_.tx_bytes_count += frame_bytes;
            ++metrics_.tx_packets_count;
            return Fate::used;
        case backend::Tap::Status::would_block:
            limiter_.give_back(frame_bytes);
            waits_for_tap_ = true;
            return Fate::waits;
        case backend::Tap::Status::refused:  // by the kernel: a bad header, or the link is down
        case backend::Tap::Status::gone:
            ++metrics_.tap_write_fails;
            ++metrics_.tx_fails;
            return Fate::used;
    }
    return Fate::used;
}

// Nothing depends on it, so the driver may change the address after this look.
void NetTransmitter::check_source(const Chain& chain) noexcept {
    if (!mac_) {
        return;
    }
    constexpr std::size_t source_offset = sizeof(net::Header) + sizeof(net::MacAddress);
    net::MacAddress source{};
    std::size_t skip = source_offset;
    std::size_t done = 0;
    for (const auto& buffer : chain.readable) {
        if (skip >= buffer.size()) {
            skip -= buffer.size();
            continue;
        }
        const auto part = buffer.subspan(skip);
        const std::size_t count = std::min(part.size(), source.size() - done);
        std::memcpy(source.data() + done, part.data(), count);
        done += count;
        skip = 0;
        if (done == source.size()) {
            break;
        }
    }
    metrics_.tx_spoofed_mac_count += source == *mac_ ? 0U : 1U;
}

}  // namespace shoal::virtio
