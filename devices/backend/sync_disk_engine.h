// SyncDiskEngine: every request is finished when start() returns.
#pragma once

#include <utility>

#include "devices/backend/disk_engine.h"

namespace shoal::backend {

class SyncDiskEngine final : public DiskEngine {
public:
    explicit SyncDiskEngine(Disk&& disk) noexcept : DiskEngine{std::move(disk)} {}

    [[nodiscard]] DiskIo io() const noexcept override { return DiskIo::sync; }
    void start(DiskRequest& request) noexcept override {
        while (!take_result(disk(), request, make_call(next_call(disk(), request)))) {
        }
        add_finished(request);
    }
    [[nodiscard]] bool submit() noexcept override { return true; }
    void wait() noexcept override {}
    [[nodiscard]] int fd() const noexcept override { return -1; }

private:
    void collect() noexcept override {}
};

}  // namespace shoal::backend
