// DiskRequest: what a disk is to do, as a sequence of system calls that a DiskEngine makes.
//
// A request takes as many calls as it needs: long ones are cut so that no call keeps the event loop
// or a worker busy for long, short transfers are continued, and what a file system cannot do is
// done in a slower way.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "devices/backend/disk.h"

namespace shoal::backend {

enum class DiskOperation : std::uint8_t {
    read,
    write,
    write_durably,  // on the medium before it is finished
    flush,
    discard,           // the bytes may read as anything, and take no room
    write_zeroes,      // and keep the room
    deallocate_zeroes  // zeros that take no room where that is possible
};

// Constructed without being touched, so that a pool of them costs nothing until they are used.
struct DiskRequest {
    enum class Method : std::uint8_t { first, device_discard, zero_writes };
    // What follows an operation that went well, before the request is finished.
    enum class Afterwards : std::uint8_t { nothing, flush };

    DiskOperation operation;
    Method method;
    Afterwards afterwards;
    int error;             // errno, once it is finished; 0: all is done
    std::uint64_t offset;  // in bytes, like left; both tell what remains to be done
    std::uint64_t left;
    iovec* buffers;  // for read and write: their sizes are `left` in sum; changed on the way
    std::uint32_t buffer_count;
    DiskRequest* next;  // the list's

    // A new request, with nothing afterwards; only a flush is of 0 bytes. `memory` is borrowed
    // until it is finished.
    void set(DiskOperation what, std::uint64_t at, std::uint64_t size_bytes,
             std::span<iovec> memory = {}) noexcept;
};

// Requests in order. Borrows them; each is in one list at most.
class DiskRequestList {
public:
    [[nodiscard]] bool is_empty() const noexcept { return first_ == nullptr; }
    void push(DiskRequest& request) noexcept {
        request.next = nullptr;
        (is_empty() ? first_ : last_->next) = &request;
        last_ = &request;
    }
    [[nodiscard]] DiskRequest* try_pop() noexcept {
        DiskRequest* const request = first_;
        if (request != nullptr) {
            first_ = request->next;
        }
        return request;
    }

private:
    DiskRequest* first_ = nullptr;
    DiskRequest* last_ = nullptr;  // of no meaning while it is empty
};

struct DiskCall {
    enum class Kind : std::uint8_t { read, write, datasync, allocate, device_discard };

    Kind kind = Kind::datasync;
    int fd = -1;
    int flags = 0;                  // RWF_* or FALLOC_*
    std::uint64_t offset = 0;       // not for datasync
    std::uint64_t size_bytes = 0;   // likewise
    iovec one = {};                 // the only buffer ...
    std::span<const iovec> many{};  // ... unless there are two or more
};

// The next call of a request that is not finished. Borrows the request.
[[nodiscard]] DiskCall next_call(const Disk& disk, const DiskRequest& request) noexcept;

// Takes a call's result (negative: errno). True: the request is finished.
[[nodiscard]] bool take_result(const Disk& disk, DiskRequest& request,
                               std::int64_t result) noexcept;

// Makes the call, on this thread, and returns its result.
[[nodiscard]] std::int64_t make_call(const DiskCall& call) noexcept;

// Makes all calls that are left, on this thread.
void run_to_end(const Disk& disk, DiskRequest& request) noexcept;

}  // namespace shoal::backend
