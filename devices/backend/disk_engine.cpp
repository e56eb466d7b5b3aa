// What all engines share, and which one is used.
#include "devices/backend/disk_engine.h"

#include "devices/backend/sync_disk_engine.h"
#include "devices/backend/uring_disk_engine.h"

namespace shoal::backend {

DiskRequest* DiskEngine::take_finished() noexcept {
    if (finished_.is_empty()) {
        collect();
    }
    return finished_.try_pop();
}

std::unique_ptr<DiskEngine> open_disk(const DiskConfig& config) {
    Disk disk{config};
    if (config.io == DiskIo::async) {
        if (auto ring = Ring::try_open(DiskEngine::max_in_flight)) {
            return std::make_unique<UringDiskEngine>(std::move(disk), std::move(ring));
        }
    }
    return std::make_unique<SyncDiskEngine>(std::move(disk));
}

}  // namespace shoal::backend
