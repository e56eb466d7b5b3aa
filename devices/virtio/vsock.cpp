// The device's registers and life, and what comes from the host.
#include "devices/virtio/vsock.h"

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "devices/abi/virtio_mmio.h"
#include "devices/host/loop_lock.h"
#include "devices/virtio/config_bytes.h"

namespace shoal::virtio {

namespace vsock = abi::virtio::vsock;

namespace {

const VsockConfig& checked(const VsockConfig& config) {
    if (config.guest_cid < vsock::min_guest_cid || config.guest_cid > vsock::max_guest_cid) {
        throw std::invalid_argument("vsock guest_cid " + std::to_string(config.guest_cid) +
                                    " is reserved: 3 to 4294967294 are possible");
    }
    return config;
}

}  // namespace

Vsock::Vsock(const VsockConfig& config, host::Reactor& reactor, const VsockLimits& limits)
    : config_{checked(config)},
      tick_ms_{limits.tick_ms},
      context_{reactor, *this, metrics_},
      connections_{limits.max_connections, metrics_},
      timer_{reactor, *this},
      greeter_{config.uds_path, reactor, *this, limits.tick_ms} {}

Vsock::~Vsock() = default;

void Vsock::set_guest_cid(std::uint64_t guest_cid) {
    const std::scoped_lock lock{mutex()};
    config_ = checked({guest_cid, config_.uds_path});
}

// ---- registers and life -------------------------------------------------------------------------

std::uint32_t Vsock::device_id() const noexcept {
    return abi::virtio::device_id::vsock;
}

std::uint64_t Vsock::features() const noexcept {
    return vsock::feature_stream;
}

std::uint32_t Vsock::queue_count() const noexcept {
    return vsock::queue_count;
}

void Vsock::read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept {
    const vsock::Config config{config_.guest_cid};
    copy_config(config, offset, data);
}

void Vsock::activate(std::uint64_t, std::span<Queue> queues, Transport& transport) noexcept {
    queues_ = queues;
    transport_ = &transport;
}

// Connections stay: packets wait for the queue.
void Vsock::stop_queue(std::uint32_t idx) noexcept {
    if (idx == vsock::receive_queue) {
        giving_.reset();
    }
}

void Vsock::reset() noexcept {
    transport_ = nullptr;
    queues_ = {};
    giving_.reset();
    event_due_ = false;
    out_of_refusals_ = false;
    abandon_connections();
}

void Vsock::abandon_connections() noexcept {
    connections_.abandon_all(abandoned_);
    if (!abandoned_.empty()) {
        ticking_ = true;
        timer_.start(0);
    }
}

// Some of them: a thousand sockets take the host milliseconds.
void Vsock::close_abandoned() noexcept {
    constexpr std::size_t max_per_turn = 64;
    const std::size_t count = std::min(abandoned_.size(), max_per_turn);
    abandoned_.resize(abandoned_.size() - count);
    if (!abandoned_.empty()) {
        ticking_ = true;
        timer_.start(0);
    }
}

void Vsock::reset_connections() noexcept {
    const std::scoped_lock lock{mutex()};
    abandon_connections();
    event_due_ = true;
    if (transport_ != nullptr) {
        give_chain_back();
        end_turn(give_event());
    }
}

VsockState Vsock::save() const {
    return {config_};
}

void Vsock::restore(const VsockState&) noexcept {
    reset_connections();
}

VsockMetrics Vsock::metrics() const noexcept {
    const std::scoped_lock lock{mutex()};
    return metrics_;
}

void Vsock::report(host::MetricSink& sink) const {
    metrics().report(sink);
}

std::size_t Vsock::connection_count() const noexcept {
    const std::scoped_lock lock{mutex()};
    return connections_.size();
}

// ---- from the host ------------------------------------------------------------------------------

void Vsock::on_connect_request(std::uint32_t port, host::UniqueFd socket) noexcept {
    const std::scoped_lock lock{mutex()};
    if (transport_ == nullptr || connections_.is_full()) {
        ++metrics_.conns_refused;
        return;  // which closes it
    }
    auto connection = std::make_unique<VsockConnection>(
        context_, VsockPorts{connections_.assign_host_port(port), port},
        backend::VsockSocket{std::move(socket)});
    if (!connection->start()) {
        ++metrics_.conns_refused;
        return;
    }
    connections_.add(std::move(connection));
    keep_ticking();
    end_turn(give_packets({1}));
}

void Vsock::on_socket_events(VsockConnection& connection, std::uint32_t events) noexcept {
    // All events of one round are heard before any of them is served at length.
    constexpr unsigned packets_per_event = 2;
    const host::LoopLock lock{mutex(), context_.reactor, connection, events};
    if (!lock || transport_ == nullptr || connection.is_over()) {
        return;  // abandoned
    }
    connection.take_events(events);
    connections_.settle(connection);
    end_turn(give_packets({packets_per_event}));
}

void Vsock::on_timer() noexcept {
    const std::unique_lock lock{mutex(), std::try_to_lock};
    if (!lock) {
        timer_.start(1);  // the loop has others to serve, see host::LoopLock
        return;
    }
    ticking_ = false;
    close_abandoned();
    if (ticking_) {
        return;  // again at once, which is not to be counted as a tick
    }
    if (connections_.tick()) {
        keep_ticking();
    }
    if (transport_ != nullptr) {
        end_turn(give_packets({1}));
    }
}

void Vsock::keep_ticking() noexcept {
    if (!ticking_) {
        ticking_ = true;
        timer_.start(tick_ms_);
    }
}

}  // namespace shoal::virtio
