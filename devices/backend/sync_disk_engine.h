// SyncDiskEngine: plain system calls, one request after the other.
//
// Short transfers from and to the page cache are made at once, as long as that does not wait. All
// else (flushes, discards, what must come from the disk), and what comes behind it, is done by a
// thread, so that the event loop does not wait for the disk.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "devices/backend/disk_engine.h"
#include "devices/backend/disk_worker.h"
#include "devices/backend/inline_gate.h"

namespace shoal::backend {

class SyncDiskEngine final : public DiskEngine {
public:
    // Throws when the host has no eventfd.
    explicit SyncDiskEngine(Disk&& disk) : DiskEngine{std::move(disk)}, worker_{this->disk()} {}

    [[nodiscard]] DiskIo io() const noexcept override { return DiskIo::sync; }
    void start(DiskRequest& request) noexcept override;
    [[nodiscard]] bool submit() noexcept override { return true; }
    void wait() noexcept override { worker_.wait(); }
    [[nodiscard]] int fd() const noexcept override { return worker_.fd(); }

private:
    void collect() noexcept override;
    [[nodiscard]] bool try_at_once(DiskRequest& request) noexcept;
    [[nodiscard]] std::optional<std::int64_t> try_call(const DiskCall& call) noexcept;

    std::uint32_t in_flight_ = 0;       // the worker's
    bool reads_refuse_nowait_ = false;  // by the file system, as far as is known
    bool writes_refuse_nowait_ = false;
    InlineGate gate_;
    DiskWorker worker_;
};

}  // namespace shoal::backend
