// A block device between its driver and a vhost-user backend.
#include "devices/virtio/vhost_user_block.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "devices/abi/virtio_mmio.h"
#include "devices/host/clock.h"
#include "devices/host/log.h"
#include "devices/host/loop_lock.h"

namespace shoal::virtio {

namespace block = abi::virtio::block;
namespace feature = abi::virtio::feature;

namespace {

// The transport offers these for every device.
constexpr std::uint64_t needed_features =
    feature::version_1 | feature::event_idx | feature::indirect_desc;

constexpr std::uint64_t passed_features = block::feature_seg_max | block::feature_read_only |
                                          block::feature_blk_size | block::feature_flush |
                                          block::feature_discard | block::feature_write_zeroes;

// Longer than a disk takes, short enough for who waits for the driver: a pause.
using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds stop_limit{1};

}  // namespace

void VhostUserBlockMetrics::report(host::MetricSink& sink) const {
    sink.counter("activate_fails", activate_fails);
    sink.counter("cfg_fails", cfg_fails);
    sink.counter("event_fails", event_fails);
    sink.counter("update_count", update_count);
    sink.counter("init_time_us", init_time_us);
    sink.counter("activate_time_us", activate_time_us);
    sink.counter("config_change_time_us", config_change_time_us);
}

VhostUserBlock::VhostUserBlock(const VhostUserBlockConfig& config,
                               const machine::GuestMemory& memory, host::Reactor& reactor)
    : config_{config}, memory_{memory}, reactor_{reactor}, connection_{config.socket} {
    if ((connection_.features() & needed_features) != needed_features) {
        throw std::runtime_error("the vhost-user backend at " + config.socket +
                                 " lacks virtio 1, event indices or indirect descriptors");
    }
    const std::uint64_t unwanted = config.cache == CacheType::unsafe ? block::feature_flush : 0;
    features_ = connection_.features() & passed_features & ~unwanted;
    if (const auto read = connection_.read_config(config_bytes_); !read) {
        throw backend::vhost_user_error(read.error(),
                                        "reading the disk's configuration from " + config.socket);
    }
    metrics_.init_time_us = (host::monotonic_ns() - begun_ns_) / 1'000;
    reactor_.add(connection_.fd(), EPOLLRDHUP, *this);
}

VhostUserBlock::~VhostUserBlock() {
    reset();
    drain();
    if (connected_) {
        reactor_.remove(connection_.fd(), *this);
    }
}

void VhostUserBlock::update_config() {
    const std::string doing = "reading the disk's configuration from " + config_.socket;
    const std::unique_lock conversation{conversation_, std::try_to_lock};
    if (!conversation.owns_lock()) {
        throw std::system_error(std::make_error_code(std::errc::device_or_resource_busy), doing);
    }
    const std::uint64_t begun_ns = host::monotonic_ns();
    ConfigBytes bytes{};
    const auto read = connection_.read_config(bytes);
    const std::scoped_lock lock{mutex()};
    if (!read) {
        ++metrics_.cfg_fails;
        throw backend::vhost_user_error(read.error(), doing);
    }
    config_bytes_ = bytes;
    ++metrics_.update_count;
    metrics_.config_change_time_us = (host::monotonic_ns() - begun_ns) / 1'000;
    if (transport_ != nullptr) {
        transport_->config_changed();
    }
}

VhostUserBlockMetrics VhostUserBlock::metrics() const noexcept {
    const std::scoped_lock lock{mutex()};
    return metrics_;
}

std::uint32_t VhostUserBlock::device_id() const noexcept {
    return abi::virtio::device_id::block;
}

void VhostUserBlock::read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept {
    std::ranges::fill(data, std::byte{0});
    if (offset < config_bytes_.size()) {
        const auto rest = std::span{config_bytes_}.subspan(offset);
        std::ranges::copy(rest.first(std::min(rest.size(), data.size())), data.begin());
    }
}

void VhostUserBlock::activate(std::uint64_t features, std::span<Queue> queues,
                              Transport& transport) noexcept {
    transport_ = &transport;
    queues_ = queues;
    driver_features_ = features;
    if (queues.front().is_ready()) {
        start_queue(0);
    }
}

void VhostUserBlock::start_queue(std::uint32_t idx) noexcept {
    starting_ = queues_[idx];
}

void VhostUserBlock::complete_activation() noexcept {
    const std::scoped_lock conversation{conversation_};
    Lock lock{mutex()};
    stop(lock);
    if (!starting_) {
        return;  // another vCPU reset the device, or did this already
    }
    const Queue queue = *std::exchange(starting_, std::nullopt);
    const std::uint32_t activation = activation_;
    // The backend's queue is stopped and started as at any reset.
    const std::uint64_t features = driver_features_ & ~feature::ring_reset;
    const std::uint64_t begun_ns = host::monotonic_ns();
    lock.unlock();
    const auto started = start(features, queue.rings());
    lock.lock();
    metrics_.activate_time_us = (host::monotonic_ns() - begun_ns) / 1'000;
    const bool is_current = activation == activation_;
    if (started) {
        (is_current ? serving_ : stopping_) = queue;
        return;
    }
    ++metrics_.activate_fails;
    log_failure("starting the vhost-user backend at ", started.error());
    if (is_current) {
        fail();
    }
}

backend::VhostUserResult<void> VhostUserBlock::start(std::uint64_t features,
                                                     const Queue::Rings& rings) noexcept {
    std::array<backend::VhostUserRegion, backend::VhostUser::max_regions> regions{};
    std::size_t count = 0;
    for (const machine::RamRegion& ram : memory_.regions()) {
        regions[count++] = {ram.start.value(), ram.bytes, memory_.fd(), ram.file_offset};
    }
    const backend::VhostUserRing ring{rings.size,         rings.descriptors.data(),
                                      rings.avail.data(), rings.used.data(),
                                      kick_.fd(),         call_.fd()};
    return connection_.start(features, std::span{regions}.first(count), ring);
}

void VhostUserBlock::stop_queue(std::uint32_t) noexcept {
    ++activation_;
    starting_.reset();
    if (serving_) {
        stopping_ = std::exchange(serving_, std::nullopt);
    }
}

void VhostUserBlock::reset() noexcept {
    stop_queue(0);
    transport_ = nullptr;
    queues_ = {};
}

// QEMU's backends neither finish what they took before they answer, nor survive that it finishes
// later: so all that the driver made available is waited for first. A driver that forges the rings'
// indices waits in vain or loses its disk, by its own fault.
void VhostUserBlock::drain() noexcept {
    kick_.signal();  // the driver's last notification may not have been passed on yet
    const std::scoped_lock conversation{conversation_};
    Lock lock{mutex()};
    const auto deadline = Clock::now() + stop_limit;
    while (has_unused_chains() && Clock::now() < deadline) {
        lock.unlock();
        pollfd backend{connection_.fd(), POLLRDHUP, 0};
        const bool is_gone = ::poll(&backend, 1, 1) > 0;
        lock.lock();
        if (is_gone) {
            break;
        }
    }
    stop(lock);
}

bool VhostUserBlock::has_unused_chains() const noexcept {
    return stopping_ && connected_ && stopping_->used_idx() != stopping_->avail_idx();
}

// Who hangs up now is done as well.
void VhostUserBlock::stop(Lock& lock) noexcept {
    if (stopping_ && connected_) {
        lock.unlock();
        if (const auto stopped = connection_.stop(); !stopped) {
            log_failure("stopping the vhost-user backend at ", stopped.error());
        }
        lock.lock();
    }
    stopping_.reset();
}

void VhostUserBlock::log_failure(const char* what, std::error_code error) const noexcept {
    SHOAL_GUEST_LOG(host::LogLevel::error,
                    backend::vhost_user_error(error, what + config_.socket).what());
}

void VhostUserBlock::fail() noexcept {
    Transport& transport = *transport_;
    reset();
    transport.fail(QueueError::backend_lost);
}

void VhostUserBlock::on_events(std::uint32_t events) noexcept {
    const host::LoopLock lock{mutex(), reactor_, *this, events};
    if (!lock) {
        return;
    }
    reactor_.remove(connection_.fd(), *this);
    connected_ = false;
    ++metrics_.event_fails;
    if (transport_ != nullptr) {
        fail();
    }
}

}  // namespace shoal::virtio
