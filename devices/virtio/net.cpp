// Whose turn it is, and the device as its driver sees it.
#include "devices/virtio/net.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "devices/abi/virtio_mmio.h"
#include "devices/host/loop_lock.h"
#include "devices/virtio/config_bytes.h"
#include "devices/virtio/net_features.h"

namespace shoal::virtio {

namespace net = abi::virtio::net;
using backend::RateLimiter;

namespace {

// Of the TAP. Edge-triggered, so that a TAP nobody can serve now does not keep the loop busy.
constexpr std::uint32_t readable = EPOLLIN | EPOLLET;

}  // namespace

// One descriptor, watched as long as this lives; its events go to a function of the device, with
// the mutex held.
class Net::Watch final : public host::EventHandler {
public:
    using Reaction = void (Net::*)(std::uint32_t events) noexcept;

    Watch(Net& net, int fd, std::uint32_t events, Reaction reaction)
        : net_{net}, fd_{fd}, reaction_{reaction} {
        net_.reactor_.add(fd_, events, *this);
    }
    ~Watch() override { net_.reactor_.remove(fd_, *this); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    void change(std::uint32_t events) noexcept { net_.reactor_.modify(fd_, events, *this); }
    void on_events(std::uint32_t events) noexcept override {
        if (const host::LoopLock lock{net_.mutex(), net_.reactor_, *this, events}) {
            (net_.*reaction_)(events);
        }
    }

private:
    Net& net_;
    const int fd_;
    const Reaction reaction_;
};

Net::Net(const NetConfig& config, backend::Tap&& tap, host::Reactor& reactor)
    : config_{config},
      tap_{std::move(tap)},
      reactor_{reactor},
      receiver_{tap_, metrics_},
      transmitter_{tap_, metrics_},
      tap_watch_{std::make_unique<Watch>(*this, tap_.fd(), readable, &Net::on_tap)} {
    transmitter_.set_mac(config_.guest_mac);
    update_rate_limiters(config_.rx_rate_limiter, config_.tx_rate_limiter);
}

Net::~Net() = default;

void Net::update_rate_limiters(const backend::RateLimiterConfig& rx,
                               const backend::RateLimiterConfig& tx) {
    const std::scoped_lock lock{mutex()};
    receiver_.limiter().update(rx);
    transmitter_.limiter().update(tx);
    config_.rx_rate_limiter = receiver_.limiter().config();
    config_.tx_rate_limiter = transmitter_.limiter().config();
    watch_limiters();
}

// A limiter has no timer before it has had a limit.
void Net::watch_limiters() {
    const auto watch = [this](std::unique_ptr<Watch>& slot, const RateLimiter& limiter,
                              Watch::Reaction reaction) {
        if (!slot && limiter.fd() >= 0) {
            slot = std::make_unique<Watch>(*this, limiter.fd(), EPOLLIN, reaction);
        }
    };
    watch(rx_timer_watch_, receiver_.limiter(), &Net::on_rx_timer);
    watch(tx_timer_watch_, transmitter_.limiter(), &Net::on_tx_timer);
}

NetConfig Net::config() const {
    const std::scoped_lock lock{mutex()};
    return config_;
}

NetMetrics Net::metrics() const noexcept {
    const std::scoped_lock lock{mutex()};
    return metrics_;
}

NetState Net::save() noexcept {
    const std::scoped_lock lock{mutex()};
    if (transport_ != nullptr) {
        Queue& queue = queues_[net::receive_queue];
        receiver_.give_back(queue);
        transport_->used_buffers(queue);
        transport_->process_again();  // for packets that have been announced already
    }
    return {config_};
}

void Net::restore(const NetState& state) {
    {
        const std::scoped_lock lock{mutex()};
        config_ = state.config;
        transmitter_.set_mac(config_.guest_mac);
    }
    update_rate_limiters(state.config.rx_rate_limiter, state.config.tx_rate_limiter);
}

NetBudgets Net::save_budgets() noexcept {
    const std::scoped_lock lock{mutex()};
    return {receiver_.limiter().save(), transmitter_.limiter().save()};
}

void Net::restore_budgets(const NetBudgets& state) noexcept {
    const std::scoped_lock lock{mutex()};
    receiver_.limiter().restore(state.rx);
    transmitter_.limiter().restore(state.tx);
}

std::uint32_t Net::device_id() const noexcept {
    return abi::virtio::device_id::network;
}

std::uint64_t Net::features() const noexcept {
    return net_features(tap_.supported_offloads()) | net::feature::mrg_rxbuf |
           net::feature::status | (config_.guest_mac ? net::feature::mac : 0) |
           (config_.mtu ? net::feature::mtu : 0);
}

void Net::read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept {
    const net::Config config{config_.guest_mac.value_or(net::MacAddress{}),
                             link_is_up_ ? net::status_link_up : std::uint16_t{0}, 0,
                             config_.mtu.value_or(0)};
    copy_config(config, offset, data);
}

void Net::activate(std::uint64_t features, std::span<Queue> queues, Transport& transport) noexcept {
    tap_.set_offloads(net_offloads(features));
    queues_ = queues;
    transport_ = &transport;
    receiver_.start((features & net::feature::mrg_rxbuf) != 0 ? NetReceiver::Mergeable::yes
                                                              : NetReceiver::Mergeable::no);
}

void Net::stop_queue(std::uint32_t idx) noexcept {
    if (idx == net::receive_queue) {
        receiver_.reset();
    } else {
        transmitter_.reset();
        wait_for_writable_tap();
    }
}

void Net::reset() noexcept {
    transport_ = nullptr;
    queues_ = {};
    stop_queue(net::receive_queue);
    stop_queue(net::transmit_queue);
}

void Net::process() noexcept {
    Done done = transmit();
    end_turn(done ? receive() : done);
}

void Net::on_tap(std::uint32_t events) noexcept {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        link_down();
    }
    if ((events & EPOLLIN) != 0) {
        ++metrics_.rx_tap_event_count;
        receiver_.on_tap_readable();
    }
    if (transport_ == nullptr) {
        return;
    }
    Done done = receive();
    if (done && transmitter_.waits_for_tap() && (events & EPOLLOUT) != 0) {
        transmitter_.on_tap_writable();
        done = transmit();
    }
    end_turn(done);
}

void Net::on_rx_timer(std::uint32_t) noexcept {
    receiver_.limiter().on_timer();
    if (transport_ != nullptr) {
        end_turn(receive());
    }
}

void Net::on_tx_timer(std::uint32_t) noexcept {
    transmitter_.limiter().on_timer();
    if (transport_ != nullptr) {
        end_turn(transmit());
    }
}

void Net::link_down() noexcept {
    if (std::exchange(link_is_up_, false) && transport_ != nullptr) {
        transport_->config_changed();
    }
}

Done Net::receive() noexcept {
    const auto progress = receiver_.receive(queues_[net::receive_queue]);
    if (!progress) {
        return std::unexpected(progress.error());
    }
    if (*progress == NetReceiver::Progress::unfinished) {
        transport_->process_again();
    }
    return {};
}

Done Net::transmit() noexcept {
    const auto progress = transmitter_.transmit(queues_[net::transmit_queue]);
    if (!progress) {
        return std::unexpected(progress.error());
    }
    if (*progress == NetTransmitter::Progress::unfinished) {
        transport_->process_again();
    }
    wait_for_writable_tap();
    return {};
}

// Only while it is of use: with EPOLLOUT each packet that comes would wake the loop once more.
void Net::wait_for_writable_tap() noexcept {
    const bool wanted = transmitter_.waits_for_tap();
    if (wanted != watches_for_writable_) {
        tap_watch_->change(wanted ? readable | EPOLLOUT : readable);
        watches_for_writable_ = wanted;
    }
}

}  // namespace shoal::virtio
