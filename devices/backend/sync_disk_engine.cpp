// What is done at once, and what the worker does.
#include "devices/backend/sync_disk_engine.h"

#include <sys/uio.h>

#include <cerrno>

#include "devices/host/clock.h"

namespace shoal::backend {

void SyncDiskEngine::start(DiskRequest& request) noexcept {
    if (in_flight_ == 0 && try_at_once(request)) {
        add_finished(request);
        return;
    }
    ++in_flight_;
    worker_.start(request);
}

// False: the worker is to go on from where the request is now.
bool SyncDiskEngine::try_at_once(DiskRequest& request) noexcept {
    while (true) {
        const DiskCall call = next_call(disk(), request);
        const bool is_transfer =
            call.kind == DiskCall::Kind::read || call.kind == DiskCall::Kind::write;
        const bool is_long = call.size_bytes < request.left;
        if (!is_transfer || is_long || disk().is_direct() || (call.flags & RWF_DSYNC) != 0) {
            return false;
        }
        const auto result = try_call(call);
        if (!result) {
            return false;
        }
        if (take_result(disk(), request, *result)) {
            return true;
        }
    }
}

// None: it might wait.
std::optional<std::int64_t> SyncDiskEngine::try_call(const DiskCall& call) noexcept {
    bool& refuses =
        call.kind == DiskCall::Kind::read ? reads_refuse_nowait_ : writes_refuse_nowait_;
    if (!refuses) {
        DiskCall trial = call;
        trial.flags |= RWF_NOWAIT;
        const std::int64_t result = make_call(trial);
        refuses = result == -EOPNOTSUPP;
        if (!refuses) {
            return result == -EAGAIN ? std::nullopt : std::optional{result};
        }
    }
    const std::uint64_t begin_ns = host::monotonic_ns();
    if (!gate_.is_open(begin_ns)) {
        return std::nullopt;
    }
    const std::int64_t result = make_call(call);
    gate_.report(begin_ns, host::monotonic_ns());
    return result;
}

void SyncDiskEngine::collect() noexcept {
    while (in_flight_ > 0) {
        DiskRequest* const request = worker_.take_finished();
        if (request == nullptr) {
            return;
        }
        --in_flight_;
        add_finished(*request);
    }
}

}  // namespace shoal::backend
