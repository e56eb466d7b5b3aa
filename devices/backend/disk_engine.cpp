// What all engines share, and which one is used.
#include "devices/backend/disk_engine.h"

#include "devices/backend/sync_disk_engine.h"
#include "devices/backend/uring_disk_engine.h"

namespace shoal::backend {

void DiskEngine::add_finished(DiskRequest& request) noexcept {
    request.next = nullptr;
    if (last_finished_ == nullptr) {
        first_finished_ = &request;
    } else {
        last_finished_->next = &request;
    }
    last_finished_ = &request;
}

DiskRequest* DiskEngine::take_finished() noexcept {
    if (first_finished_ == nullptr) {
        collect();
    }
    DiskRequest* const request = first_finished_;
    if (request != nullptr) {
        first_finished_ = request->next;
        if (first_finished_ == nullptr) {
            last_finished_ = nullptr;
        }
    }
    return request;
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
