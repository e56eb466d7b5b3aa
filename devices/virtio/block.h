// Block: a virtio block device (virtio 1.2, 5.2) on a raw disk image.
//
// Up to 256 requests are in flight and finish in any order. What fails on the host is an I/O error
// of that request. A pass over the queue hands its requests to the host at once and interrupts at
// most once. Requests over the rate limit stay in the queue until the limiter's timer fires.
// Served on the event loop, where the device registers its descriptors by itself.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "devices/abi/virtio_block.h"
#include "devices/backend/disk_engine.h"
#include "devices/backend/rate_limiter.h"
#include "devices/host/loop_lock.h"
#include "devices/host/reactor.h"
#include "devices/host/unique_fd.h"
#include "devices/machine/write_log.h"
#include "devices/virtio/allowance.h"
#include "devices/virtio/block_metrics.h"
#include "devices/virtio/block_request.h"
#include "devices/virtio/device.h"

namespace shoal::virtio {

enum class CacheType : std::uint8_t {
    unsafe,     // flushes are not offered; one that comes all the same is acknowledged at once
    writeback,  // what was written before a flush is on the medium when the flush is answered
};

struct BlockConfig {
    backend::DiskConfig disk;
    CacheType cache = CacheType::unsafe;
    backend::RateLimiterConfig rate_limiter;

    friend bool operator==(const BlockConfig&, const BlockConfig&) = default;
};

// What the driver has seen and must find again; nothing is in flight.
struct BlockState {
    std::uint64_t features = 0;
    std::uint64_t capacity_sectors = 0;
    std::uint32_t block_bytes = 0;
    backend::DiskId id{};
    backend::RateLimiterConfig rate_limiter;

    friend bool operator==(const BlockState&, const BlockState&) = default;
};

// The image, for who copies it while the driver uses it.
struct BlockContent {
    host::UniqueFd fd;  // O_DIRECT where the device has it so
    std::uint64_t size_bytes = 0;
    // Where the driver's writes, discards and zeros went since then, once they were done. It stops
    // when the image is replaced, or when somebody else asks for the content.
    std::shared_ptr<machine::WriteLog> writes;
};

class Block final : public Device {
public:
    // A larger discard would keep a worker of the host for too long; zeros may have to be written.
    static constexpr std::uint32_t max_discard_sectors = 1 << 21;       // 1 GiB
    static constexpr std::uint32_t max_write_zeroes_sectors = 1 << 17;  // 64 MiB
    // What one pass over the queue begins; what the page cache holds is copied by then.
    static constexpr Allowance allowance_per_pass{.chains = 32, .bytes = 1 << 20};

    // Borrows `reactor`. Throws std::system_error or std::invalid_argument, with the path, when the
    // image cannot be used. Destroyed, like updated, where the reactor is dispatched or while
    // nobody dispatches it.
    Block(const BlockConfig& config, host::Reactor& reactor);
    // The disk is open already.
    Block(const BlockConfig& config, std::unique_ptr<backend::DiskEngine> engine,
          host::Reactor& reactor);
    ~Block() override;

    // Another image under the same settings. Requests in flight are finished with the old one, the
    // driver hears of the new capacity. Throws as the constructor; then nothing has changed.
    void update_disk(const std::string& path);
    // Throws when the host has no timer. What the update leaves out stays as it is.
    void update_rate_limiter(const backend::RateLimiterConfig& update);

    // One at a time: the one before is logged no more. Of the image as it is now: what
    // update_disk() brings is not in it. Throws
    // std::system_error when the host has no descriptor left.
    [[nodiscard]] BlockContent content();

    // As it is now.
    [[nodiscard]] BlockConfig config() const;
    [[nodiscard]] BlockMetrics metrics() const noexcept;
    // What really moves the bytes: sync also when the host refused io_uring.
    [[nodiscard]] backend::DiskIo io() const noexcept;

    // First finishes what is in flight.
    [[nodiscard]] BlockState save();
    // On a device with the same configuration, before it is active. Throws std::invalid_argument
    // when the image is not what the driver has seen.
    void restore(const BlockState& state);
    // What the rate limiter has left. The latter comes after restore().
    [[nodiscard]] backend::RateLimiterState save_budget() const noexcept;
    void restore_budget(const backend::RateLimiterState& state) noexcept;

    [[nodiscard]] std::uint32_t device_id() const noexcept override;
    [[nodiscard]] std::uint64_t features() const noexcept override;
    [[nodiscard]] std::uint32_t queue_count() const noexcept override { return 1; }
    [[nodiscard]] std::uint32_t queue_size_max() const noexcept override { return Queue::max_size; }
    void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override;
    void write_config(std::uint64_t, std::span<const std::byte>) noexcept override {}
    void activate(std::uint64_t features, std::span<Queue> queues,
                  Transport& transport) noexcept override;
    void stop_queue(std::uint32_t idx) noexcept override;
    void reset() noexcept override;
    void drain() noexcept override;
    void process() noexcept override;

private:
    using RequestStatus = abi::virtio::block::RequestStatus;

    struct Watch final : host::EventHandler {
        Watch(Block& owner, void (Block::*function)() noexcept) : block{owner}, call{function} {}
        void on_events(std::uint32_t events) noexcept override {
            if (const host::LoopLock lock{block.mutex(), block.reactor_, *this, events}) {
                (block.*call)();
            }
        }
        Block& block;
        void (Block::*call)() noexcept;
    };
    // Why a pass over the queue ended.
    enum class Stop : std::uint8_t { queue_empty, throttled, all_in_flight, enough };

    // These two with the mutex held.
    void on_finished() noexcept;
    void on_timer() noexcept;
    void watch_timer();
    void stop_logging() noexcept;

    void serve() noexcept;
    [[nodiscard]] std::expected<void, QueueError> serve_queue() noexcept;
    [[nodiscard]] std::expected<Stop, QueueError> start_requests(Allowance& allowance) noexcept;
    [[nodiscard]] std::expected<Stop, QueueError> start_one(BlockRequest& request,
                                                            Allowance& allowance) noexcept;
    void begin(BlockRequest& request) noexcept;
    // The answer when the disk is not needed for it.
    [[nodiscard]] std::optional<RequestStatus> prepare(BlockRequest& request) noexcept;
    [[nodiscard]] std::optional<RequestStatus> prepare_transfer(
        BlockRequest& request, backend::DiskOperation operation) noexcept;
    [[nodiscard]] std::optional<RequestStatus> prepare_range(BlockRequest& request) noexcept;
    [[nodiscard]] bool contains(std::uint64_t sector, std::uint64_t sector_count) const noexcept;
    void take_back_finished() noexcept;
    void finish_all() noexcept;
    void log_write(const BlockRequest& request) const noexcept;
    void answer(BlockRequest& request, RequestStatus status) noexcept;
    void count(const BlockRequest& request, RequestStatus status) noexcept;

    host::Reactor& reactor_;
    const CacheType cache_;
    std::unique_ptr<backend::DiskEngine> engine_;
    backend::DiskId id_;
    backend::RateLimiter limiter_;
    bool timer_watched_ = false;
    BlockRequestPool pool_;
    BlockMetrics metrics_;
    Watch finished_watch_{*this, &Block::on_finished};
    Watch timer_watch_{*this, &Block::on_timer};

    Transport* transport_ = nullptr;           // while the device is active
    Queue* queue_ = nullptr;                   // likewise
    bool is_durable_ = false;                  // what is answered is on the medium
    std::uint32_t activation_ = 0;             // counts resets and stops
    std::uint32_t stale_count_ = 0;            // requests in flight from before the last of them
    std::weak_ptr<machine::WriteLog> writes_;  // while somebody copies the image
    std::condition_variable taken_back_;
};

}  // namespace shoal::virtio
