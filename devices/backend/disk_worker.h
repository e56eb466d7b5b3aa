// DiskWorker: a thread that runs a disk's requests to their ends, in order, for an engine whose own
// thread must not wait.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "devices/backend/disk.h"
#include "devices/backend/disk_request.h"
#include "devices/host/event_fd.h"

namespace shoal::backend {

class DiskWorker {
public:
    // Borrows the disk. The thread begins with the first request. Throws when the host has no
    // eventfd.
    explicit DiskWorker(const Disk& disk) noexcept(false) : disk_{disk} {}
    // First finishes what was started.
    ~DiskWorker();
    DiskWorker(const DiskWorker&) = delete;
    DiskWorker& operator=(const DiskWorker&) = delete;

    // Belongs to the worker until take_finished() gives it back.
    void start(DiskRequest& request) noexcept;
    [[nodiscard]] DiskRequest* take_finished() noexcept;
    // Waits until all that was started is finished.
    void wait() noexcept;
    // Readable while there is something to take.
    [[nodiscard]] int fd() const noexcept { return finished_event_.fd(); }

private:
    void main() noexcept;
    void finish(DiskRequest& request) noexcept;

    const Disk& disk_;
    host::EventFd finished_event_;
    std::mutex mutex_;
    std::condition_variable changed_;
    DiskRequestList waiting_;
    DiskRequestList finished_;
    bool is_busy_ = false;
    bool is_stopped_ = false;
    std::thread thread_;
};

}  // namespace shoal::backend
