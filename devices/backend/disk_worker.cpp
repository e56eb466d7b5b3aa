// One thread, two lists.
#include "devices/backend/disk_worker.h"

#include <pthread.h>

#include <system_error>

namespace shoal::backend {

DiskWorker::~DiskWorker() {
    {
        const std::scoped_lock lock{mutex_};
        is_stopped_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void DiskWorker::start(DiskRequest& request) noexcept {
    if (!thread_.joinable()) {
        try {
            thread_ = std::thread{[this] { main(); }};
        } catch (const std::system_error&) {
            run_to_end(disk_, request);  // the host has no thread for us: this one has to wait
            const std::scoped_lock lock{mutex_};
            finish(request);
            return;
        }
    }
    {
        const std::scoped_lock lock{mutex_};
        waiting_.push(request);
    }
    changed_.notify_all();
}

DiskRequest* DiskWorker::take_finished() noexcept {
    const std::scoped_lock lock{mutex_};
    DiskRequest* const request = finished_.try_pop();
    if (request != nullptr && finished_.is_empty()) {
        finished_event_.drain();
    }
    return request;
}

void DiskWorker::wait() noexcept {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return waiting_.is_empty() && !is_busy_; });
}

void DiskWorker::main() noexcept {
    ::pthread_setname_np(::pthread_self(), "disk");  // others would have to open a file for it
    std::unique_lock lock{mutex_};
    while (true) {
        changed_.wait(lock, [this] { return is_stopped_ || !waiting_.is_empty(); });
        DiskRequest* const request = waiting_.try_pop();
        if (request == nullptr) {
            return;
        }
        is_busy_ = true;
        lock.unlock();
        run_to_end(disk_, *request);
        lock.lock();
        is_busy_ = false;
        finish(*request);
        changed_.notify_all();
    }
}

// With the mutex held, so that the event tells exactly whether there is something to take.
void DiskWorker::finish(DiskRequest& request) noexcept {
    if (finished_.is_empty()) {
        finished_event_.signal();
    }
    finished_.push(request);
}

}  // namespace shoal::backend
