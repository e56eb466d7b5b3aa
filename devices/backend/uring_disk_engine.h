// UringDiskEngine: requests through io_uring, and at once where that is faster.
//
// io_uring itself first tries not to wait, so that reads of what the page cache holds are finished
// by submit(). A file system that cannot try (writes on ext4, all on tmpfs) would have a worker
// thread do even those, for 30 times the price: there the engine makes the call itself, as long as
// such calls return quickly.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "devices/backend/disk_engine.h"
#include "devices/backend/inline_gate.h"

namespace shoal::backend {

// An io_uring instance.
class Ring {
public:
    // None when the host refuses: an old kernel, seccomp, kernel.io_uring_disabled, no memory.
    [[nodiscard]] static std::unique_ptr<Ring> try_open(std::uint32_t entries);
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    ~Ring() {
        if (is_open_) {
            io_uring_queue_exit(&ring_);
        }
    }

    [[nodiscard]] io_uring* get() noexcept { return &ring_; }
    [[nodiscard]] int fd() const noexcept { return ring_.ring_fd; }

private:
    Ring() = default;
    io_uring ring_{};
    bool is_open_ = false;
};

class UringDiskEngine final : public DiskEngine {
public:
    // The ring has max_in_flight entries, and is this disk's alone.
    UringDiskEngine(Disk&& disk, std::unique_ptr<Ring> ring) noexcept
        : DiskEngine{std::move(disk)}, ring_{std::move(ring)} {}
    ~UringDiskEngine() override { wait(); }

    [[nodiscard]] DiskIo io() const noexcept override { return DiskIo::async; }
    void start(DiskRequest& request) noexcept override;
    [[nodiscard]] bool submit() noexcept override;
    void wait() noexcept override;
    [[nodiscard]] int fd() const noexcept override { return ring_->fd(); }

private:
    // Whether calls of a kind can be tried without waiting.
    enum class NoWait : std::uint8_t { unknown, works, refused };

    void collect() noexcept override;
    void proceed(DiskRequest& request) noexcept;
    [[nodiscard]] bool try_inline(const DiskCall& call, const DiskRequest& request,
                                  std::int64_t& result) noexcept;
    void queue(const DiskCall& call, DiskRequest& request) noexcept;

    std::unique_ptr<Ring> ring_;
    std::uint32_t in_flight_ = 0;  // queued and not collected
    NoWait read_nowait_ = NoWait::unknown;
    NoWait write_nowait_ = NoWait::unknown;
    InlineGate gate_;
};

}  // namespace shoal::backend
