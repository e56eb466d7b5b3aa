// From the TAP to the driver.
#include "devices/virtio/net_receiver.h"

#include <algorithm>

#include "devices/abi/virtio_net.h"

namespace shoal::virtio {

namespace net = abi::virtio::net;

// One more than a packet can have, so that a larger one is seen to be larger.
constexpr std::size_t spill_bytes = net::packet_bytes_max + 1;

NetReceiver::NetReceiver(const backend::Tap& tap, NetMetrics& metrics)
    : tap_{tap},
      metrics_{metrics},
      spill_{std::make_unique_for_overwrite<std::byte[]>(spill_bytes)} {}

void NetReceiver::start(Mergeable mergeable) noexcept {
    mergeable_ = mergeable;
    tap_readable_ = true;
}

void NetReceiver::reset() noexcept {
    buffers_.clear();
    packet_bytes_ = placed_bytes_ = 0;
}

std::expected<NetReceiver::Progress, QueueError> NetReceiver::receive(Queue& queue) noexcept {
    queue.suppress_notifications();
    Allowance allowance = allowance_per_call;
    while (allowance.take_chain()) {
        if (limiter_.is_blocked()) {
            return Progress::idle;
        }
        const auto step = next_packet(queue);
        if (!step) {
            return std::unexpected(step.error());
        }
        switch (*step) {
            case Step::deliver:
                if (!may_pass()) {
                    return Progress::idle;
                }
                allowance.spend(packet_bytes_);
                deliver(queue);
                break;
            case Step::next:
                break;
            case Step::none_now:
                return Progress::idle;
        }
    }
    return Progress::unfinished;
}

std::expected<NetReceiver::Step, QueueError> NetReceiver::next_packet(Queue& queue) noexcept {
    if (packet_bytes_ != 0) {
        return fit_packet(queue);
    }
    if (!tap_readable_) {
        return Step::none_now;
    }
    // Without mergeable buffers: any one chain.
    const auto room = gather(queue, mergeable_ == Mergeable::yes ? net::packet_bytes_max : 1, 1);
    if (!room) {
        return std::unexpected(room.error());
    }
    if (!*room) {
        ++metrics_.no_rx_avail_buffer;
        return Step::none_now;
    }
    const Step step = read_packet();
    return step == Step::deliver ? fit_packet(queue) : std::expected<Step, QueueError>{step};
}

// True when `needed_bytes` are at hand; `wanted_bytes` are better. Otherwise the driver notifies
// when it has more.
std::expected<bool, QueueError> NetReceiver::gather(Queue& queue, std::size_t wanted_bytes,
                                                    std::size_t needed_bytes) noexcept {
    if (const auto done = buffers_.gather(queue, wanted_bytes); !done) {
        return std::unexpected(done.error());
    }
    // Once more after each chain that came meanwhile: the driver notifies only for the next one.
    while (buffers_.size_bytes() < needed_bytes && queue.enable_notifications()) {
        const std::size_t before = buffers_.size_bytes();
        if (const auto done = buffers_.gather(queue, wanted_bytes); !done) {
            return std::unexpected(done.error());
        }
        if (buffers_.size_bytes() == before) {
            break;  // no room for more of them
        }
    }
    return buffers_.size_bytes() >= needed_bytes;
}

NetReceiver::Step NetReceiver::read_packet() noexcept {
    const auto result = tap_.read(buffers_.pieces({spill_.get(), spill_bytes}));
    switch (result.status) {
        case backend::Tap::Status::done:
            break;
        case backend::Tap::Status::refused:
            ++metrics_.tap_read_fails;
            [[fallthrough]];
        case backend::Tap::Status::would_block:
        case backend::Tap::Status::gone:
            tap_readable_ = false;
            return Step::none_now;
    }
    packet_bytes_ = result.size_bytes;
    placed_bytes_ = std::min(packet_bytes_, buffers_.size_bytes());
    if (packet_bytes_ < net::packet_bytes_min || packet_bytes_ > net::packet_bytes_max) {
        return drop_packet();
    }
    return Step::deliver;
}

// Sees to it that all of the packet lies in chains.
std::expected<NetReceiver::Step, QueueError> NetReceiver::fit_packet(Queue& queue) noexcept {
    if (placed_bytes_ == packet_bytes_) {
        return Step::deliver;
    }
    if (mergeable_ == Mergeable::no) {
        return drop_packet();
    }
    if (placed_bytes_ == buffers_.size_bytes()) {
        ++metrics_.rx_partial_writes;
    }
    const auto fits = gather(queue, packet_bytes_, packet_bytes_);
    if (!fits) {
        return std::unexpected(fits.error());
    }
    if (!*fits) {
        return buffers_.is_full(queue) ? drop_packet() : Step::none_now;
    }
    buffers_.write_at(placed_bytes_, {spill_.get(), packet_bytes_ - placed_bytes_});
    placed_bytes_ = packet_bytes_;
    return Step::deliver;
}

bool NetReceiver::may_pass() noexcept {
    if (limiter_.consume(frame_bytes())) {
        return true;
    }
    ++metrics_.rx_rate_limiter_throttled;
    return false;
}

void NetReceiver::deliver(Queue& queue) noexcept {
    metrics_.rx_bytes_count += frame_bytes();
    ++metrics_.rx_packets_count;
    buffers_.deliver(queue, packet_bytes_);
    packet_bytes_ = placed_bytes_ = 0;
}

// Its chains are there for the next one.
NetReceiver::Step NetReceiver::drop_packet() noexcept {
    ++metrics_.rx_fails;
    packet_bytes_ = placed_bytes_ = 0;
    return Step::next;
}

std::size_t NetReceiver::frame_bytes() const noexcept {
    return packet_bytes_ - sizeof(net::Header);
}

void NetReceiver::give_back(Queue& queue) noexcept {
    if (packet_bytes_ != 0 && placed_bytes_ == packet_bytes_) {
        deliver(queue);  // only the rate limiter held it back
    } else if (packet_bytes_ != 0) {
        static_cast<void>(drop_packet());
    }
    buffers_.give_back(queue);
}

}  // namespace shoal::virtio
