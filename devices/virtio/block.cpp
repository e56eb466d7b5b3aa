// The block device but for its queue: configuration, updates, state.
#include "devices/virtio/block.h"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "devices/abi/virtio_mmio.h"
#include "devices/host/os_error.h"
#include "devices/virtio/config_bytes.h"

namespace shoal::virtio {

namespace block = abi::virtio::block;

static_assert(backend::Disk::sector_bytes == block::sector_bytes);
static_assert(BlockRequestPool::size <= backend::DiskEngine::max_in_flight);

Block::Block(const BlockConfig& config, host::Reactor& reactor)
    : Block{config, backend::open_disk(config.disk), reactor} {}

Block::Block(const BlockConfig& config, std::unique_ptr<backend::DiskEngine> engine,
             host::Reactor& reactor)
    : reactor_{reactor},
      cache_{config.cache},
      engine_{std::move(engine)},
      id_{engine_->disk().id()},
      limiter_{config.rate_limiter} {
    watch_timer();
    reactor_.add(engine_->fd(), EPOLLIN, finished_watch_);
}

Block::~Block() {
    reset();
    drain();  // what is in flight uses the pool
    reactor_.remove(engine_->fd(), finished_watch_);
    if (timer_watched_) {
        reactor_.remove(limiter_.fd(), timer_watch_);
    }
}

void Block::watch_timer() {
    if (!timer_watched_ && limiter_.fd() >= 0) {
        reactor_.add(limiter_.fd(), EPOLLIN, timer_watch_);
        timer_watched_ = true;
    }
}

void Block::update_disk(const std::string& path) {
    const std::scoped_lock lock{mutex()};
    ++metrics_.update_fails;  // unless it goes well
    backend::DiskConfig config = engine_->disk().config();
    config.path = path;
    auto engine = backend::open_disk(config);
    reactor_.add(engine->fd(), EPOLLIN, finished_watch_);
    finish_all();
    reactor_.remove(engine_->fd(), finished_watch_);
    engine_ = std::move(engine);
    stop_logging();
    id_ = engine_->disk().id();
    --metrics_.update_fails;
    ++metrics_.update_count;
    if (transport_ != nullptr) {
        transport_->config_changed();
        transport_->process_again();
    }
}

void Block::update_rate_limiter(const backend::RateLimiterConfig& update) {
    const std::scoped_lock lock{mutex()};
    limiter_.update(update);
    watch_timer();
}

void Block::stop_logging() noexcept {
    if (const auto writes = std::exchange(writes_, {}).lock()) {
        writes->stop();
    }
}

BlockContent Block::content() {
    const std::scoped_lock lock{mutex()};
    const backend::Disk& disk = engine_->disk();
    BlockContent content{host::UniqueFd{::fcntl(disk.fd(), F_DUPFD_CLOEXEC, 0)},
                         disk.capacity_sectors() * backend::Disk::sector_bytes, nullptr};
    host::check_os(content.fd.get(), "a descriptor for the disk image");
    content.writes = std::make_shared<machine::WriteLog>(content.size_bytes);
    content.writes->start();
    stop_logging();
    writes_ = content.writes;
    return content;
}

BlockConfig Block::config() const {
    const std::scoped_lock lock{mutex()};
    return {engine_->disk().config(), cache_, limiter_.config()};
}

BlockMetrics Block::metrics() const noexcept {
    const std::scoped_lock lock{mutex()};
    return metrics_;
}

backend::DiskIo Block::io() const noexcept {
    const std::scoped_lock lock{mutex()};
    return engine_->io();
}

BlockState Block::save() {
    const std::scoped_lock lock{mutex()};
    finish_all();
    const backend::Disk& disk = engine_->disk();
    return {features(), disk.capacity_sectors(), disk.block_bytes(), id_, limiter_.config()};
}

void Block::restore(const BlockState& state) {
    const std::scoped_lock lock{mutex()};
    const backend::Disk& disk = engine_->disk();
    disk.forget_cached();
    if (disk.capacity_sectors() != state.capacity_sectors ||
        disk.block_bytes() != state.block_bytes) {
        throw std::invalid_argument("the disk image " + disk.config().path + " has " +
                                    std::to_string(disk.capacity_sectors()) +
                                    " sectors in blocks of " + std::to_string(disk.block_bytes()) +
                                    " bytes, but the guest has seen " +
                                    std::to_string(state.capacity_sectors) + " in blocks of " +
                                    std::to_string(state.block_bytes));
    }
    if (features() != state.features) {
        throw std::invalid_argument("the disk image " + disk.config().path +
                                    " is not read-only or cached as the guest has seen it");
    }
    limiter_.update(state.rate_limiter);
    watch_timer();
    id_ = state.id;
}

backend::RateLimiterState Block::save_budget() const noexcept {
    const std::scoped_lock lock{mutex()};
    return limiter_.save();
}

void Block::restore_budget(const backend::RateLimiterState& state) noexcept {
    const std::scoped_lock lock{mutex()};
    limiter_.restore(state);
}

std::uint32_t Block::device_id() const noexcept {
    return abi::virtio::device_id::block;
}

std::uint64_t Block::features() const noexcept {
    const bool read_only = engine_->disk().is_read_only();
    return block::feature_seg_max | block::feature_blk_size |
           (read_only ? block::feature_read_only
                      : block::feature_discard | block::feature_write_zeroes) |
           (cache_ == CacheType::writeback ? block::feature_flush : 0);
}

void Block::read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept {
    const backend::Disk& disk = engine_->disk();
    block::Config config{};
    config.capacity_sectors = disk.capacity_sectors();
    config.seg_max = BlockRequest::max_buffers;
    config.blk_size = disk.block_bytes();
    if (!disk.is_read_only()) {
        config.max_discard_sectors = max_discard_sectors;
        config.max_discard_seg = 1;
        config.discard_sector_alignment = 4096 / block::sector_bytes;  // a page of the host
        config.max_write_zeroes_sectors = max_write_zeroes_sectors;
        config.max_write_zeroes_seg = 1;
        config.write_zeroes_may_unmap = 1;
    }
    copy_config(config, offset, data);
}

void Block::activate(std::uint64_t features, std::span<Queue> queues,
                     Transport& transport) noexcept {
    queue_ = &queues.front();
    transport_ = &transport;
    // A driver that cannot flush takes every write that is answered for durable (5.2.6.2).
    is_durable_ = cache_ == CacheType::writeback && (features & block::feature_flush) == 0;
}

// Nobody hears of what is in flight.
void Block::stop_queue(std::uint32_t) noexcept {
    ++activation_;
    stale_count_ = pool_.in_flight();
}

void Block::reset() noexcept {
    stop_queue(0);
    transport_ = nullptr;
    queue_ = nullptr;
}

// The loop takes requests back as they finish and tells. It may not be running (the machine is
// paused, or goes away): then they are looked for here.
void Block::drain() noexcept {
    constexpr std::chrono::milliseconds look_again{1};
    std::unique_lock lock{mutex()};
    const std::uint32_t drained = activation_;
    take_back_finished();
    while (stale_count_ > 0 && activation_ == drained) {  // else the next one's turn
        taken_back_.wait_for(lock, look_again);
        take_back_finished();
    }
}

}  // namespace shoal::virtio
