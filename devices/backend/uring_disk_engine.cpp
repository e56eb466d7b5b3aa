// Requests as submission queue entries.
#include "devices/backend/uring_disk_engine.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "devices/host/check.h"
#include "devices/host/clock.h"

namespace shoal::backend {

using host::monotonic_ns;

namespace {

void prepare_read(io_uring_sqe* entry, const DiskCall& call) noexcept {
    if (call.many.empty()) {
        io_uring_prep_read(entry, call.fd, call.one.iov_base,
                           static_cast<unsigned>(call.one.iov_len), call.offset);
    } else {
        io_uring_prep_readv(entry, call.fd, call.many.data(),
                            static_cast<unsigned>(call.many.size()), call.offset);
    }
}

void prepare_write(io_uring_sqe* entry, const DiskCall& call) noexcept {
    if (call.many.empty()) {
        io_uring_prep_write(entry, call.fd, call.one.iov_base,
                            static_cast<unsigned>(call.one.iov_len), call.offset);
    } else {
        io_uring_prep_writev(entry, call.fd, call.many.data(),
                             static_cast<unsigned>(call.many.size()), call.offset);
    }
    entry->rw_flags = call.flags;
}

void prepare(io_uring_sqe* entry, const DiskCall& call) noexcept {
    switch (call.kind) {
        case DiskCall::Kind::read:
            return prepare_read(entry, call);
        case DiskCall::Kind::write:
            return prepare_write(entry, call);
        case DiskCall::Kind::datasync:
            return io_uring_prep_fsync(entry, call.fd, IORING_FSYNC_DATASYNC);
        case DiskCall::Kind::allocate:
            return io_uring_prep_fallocate(entry, call.fd, call.flags,
                                           static_cast<off_t>(call.offset),
                                           static_cast<off_t>(call.size_bytes));
        case DiskCall::Kind::device_discard:
            return;  // never queued
    }
}

// From here on the ring takes what prepare() asks for and nothing else: its requests are no system
// calls, and no filter for these (vmm/jail) sees them. False: it is closed again.
bool enable_for_disks(io_uring& ring) noexcept {
    constexpr std::array operations{IORING_OP_READ,   IORING_OP_READV, IORING_OP_WRITE,
                                    IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE};
    std::array<io_uring_restriction, operations.size()> allowed{};
    for (std::size_t i = 0; i < operations.size(); ++i) {
        allowed[i].opcode = IORING_RESTRICTION_SQE_OP;
        allowed[i].sqe_op = operations[i];
    }
    // Not by liburing's functions: the shared library of version 2.3 does not export them.
    const auto call = [&ring](unsigned operation, const void* argument, std::size_t count) {
        return ::syscall(SYS_io_uring_register, ring.ring_fd, operation, argument, count);
    };
    if (call(IORING_REGISTER_RESTRICTIONS, allowed.data(), allowed.size()) == 0 &&
        call(IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0) {
        return true;
    }
    io_uring_queue_exit(&ring);
    return false;
}

}  // namespace

std::unique_ptr<Ring> Ring::try_open(std::uint32_t entries) {
    std::unique_ptr<Ring> ring{new Ring};
    // The loop makes system calls often enough to see completions without being interrupted.
    // It is Linux 5.19's, and the restriction 5.10's.
    for (const unsigned flags :
         {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_R_DISABLED, IORING_SETUP_R_DISABLED, 0U}) {
        ring->is_open_ = ring->is_open_ || (io_uring_queue_init(entries, ring->get(), flags) == 0 &&
                                            (flags == 0 || enable_for_disks(*ring->get())));
    }
    return ring->is_open_ ? std::move(ring) : nullptr;
}

void UringDiskEngine::start(DiskRequest& request) noexcept {
    proceed(request);
}

void UringDiskEngine::proceed(DiskRequest& request) noexcept {
    while (true) {
        const DiskCall call = next_call(disk(), request);
        std::int64_t result = 0;
        if (!try_inline(call, request, result)) {
            queue(call, request);
            return;
        }
        if (take_result(disk(), request, result)) {
            add_finished(request);
            return;
        }
    }
}

// True: the call was made, with this result.
bool UringDiskEngine::try_inline(const DiskCall& call, const DiskRequest& request,
                                 std::int64_t& result) noexcept {
    if (call.kind == DiskCall::Kind::device_discard) {
        result = make_call(call);
        return true;
    }
    if (call.fd != disk().fd()) {
        wait();  // see Disk::cached_fd()
        result = make_call(call);
        return true;
    }
    const bool is_transfer =
        call.kind == DiskCall::Kind::read || call.kind == DiskCall::Kind::write;
    const bool is_long = call.size_bytes < request.left;
    if (!is_transfer || is_long || disk().is_direct() || (call.flags & RWF_DSYNC) != 0) {
        return false;
    }
    NoWait& nowait = call.kind == DiskCall::Kind::read ? read_nowait_ : write_nowait_;
    if (nowait == NoWait::unknown) {
        DiskCall trial = call;
        trial.flags |= RWF_NOWAIT;
        result = make_call(trial);
        nowait = result == -EOPNOTSUPP ? NoWait::refused : NoWait::works;
        if (result > 0) {
            return true;
        }
    }
    const std::uint64_t begin_ns = nowait == NoWait::refused ? monotonic_ns() : 0;
    if (nowait == NoWait::works || !gate_.is_open(begin_ns)) {
        return false;
    }
    result = make_call(call);
    gate_.report(begin_ns, monotonic_ns());
    return true;
}

void UringDiskEngine::queue(const DiskCall& call, DiskRequest& request) noexcept {
    io_uring_sqe* const entry = io_uring_get_sqe(ring_->get());
    SHOAL_CHECK(entry != nullptr);  // a request has one entry, the ring max_in_flight
    prepare(entry, call);
    io_uring_sqe_set_data(entry, &request);
    ++in_flight_;
}

bool UringDiskEngine::submit() noexcept {
    while (io_uring_sq_ready(ring_->get()) > 0) {
        const int submitted = io_uring_submit(ring_->get());
        if (submitted < 0 && submitted != -EINTR) {
            return false;
        }
    }
    return true;
}

void UringDiskEngine::collect() noexcept {
    io_uring_cqe* entry = nullptr;
    // Not for ever: what is started again may be finished by the next round.
    for (std::uint32_t count = in_flight_; count > 0; --count) {
        if (io_uring_peek_cqe(ring_->get(), &entry) != 0) {
            return;
        }
        auto& request = *static_cast<DiskRequest*>(io_uring_cqe_get_data(entry));
        const std::int64_t result = entry->res;
        io_uring_cqe_seen(ring_->get(), entry);
        --in_flight_;
        if (take_result(disk(), request, result)) {
            add_finished(request);
        } else {
            proceed(request);
        }
    }
}

void UringDiskEngine::wait() noexcept {
    while (in_flight_ > 0) {
        if (submit()) {
            io_uring_cqe* entry = nullptr;
            static_cast<void>(io_uring_wait_cqe(ring_->get(), &entry));  // EINTR: once more
        }
        collect();
    }
}

}  // namespace shoal::backend
