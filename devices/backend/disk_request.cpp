// Which system call comes next, and what its result means.
#include "devices/backend/disk_request.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace shoal::backend {
namespace {

// The longest request of Linux's block layer, in one call: two would wait for one another. From the
// page cache it copies within 0.4 ms.
constexpr std::uint64_t max_call_bytes = 1280 << 10;

constexpr std::size_t zero_bytes = 64 << 10;
alignas(4096) std::array<std::byte, zero_bytes> zeros{};
const auto zero_buffers = [] {
    std::array<iovec, max_call_bytes / zero_bytes> buffers{};
    buffers.fill({zeros.data(), zeros.size()});
    return buffers;
}();

// As many whole buffers as one call takes, or a part of the first.
void add_buffers(DiskCall& call, std::span<const iovec> buffers, std::uint64_t left) noexcept {
    std::uint64_t size = 0;
    std::size_t count = 0;
    for (const iovec& buffer : buffers) {
        if (buffer.iov_len > std::min(left, max_call_bytes) - size) {
            break;
        }
        size += buffer.iov_len;
        ++count;
    }
    if (count >= 2) {
        call.many = buffers.first(count);
        call.size_bytes = size;
        return;
    }
    call.one = buffers.front();
    call.one.iov_len = std::min({call.one.iov_len, left, max_call_bytes});
    call.size_bytes = call.one.iov_len;
}

// A direct call goes through the page cache when O_DIRECT would refuse it.
int pick_fd(const Disk& disk, const DiskCall& call) noexcept {
    const auto buffers = call.many.empty() ? std::span{&call.one, 1} : call.many;
    return disk.takes(call.offset, buffers) ? disk.fd() : disk.cached_fd();
}

DiskCall transfer(const Disk& disk, const DiskRequest& request) noexcept {
    DiskCall call;
    const bool is_read = request.operation == DiskOperation::read;
    call.kind = is_read ? DiskCall::Kind::read : DiskCall::Kind::write;
    call.flags = request.operation == DiskOperation::write_durably ? RWF_DSYNC : 0;
    call.offset = request.offset;
    const bool is_zeros = request.method == DiskRequest::Method::zero_writes;
    add_buffers(call,
                is_zeros ? std::span{zero_buffers}
                         : std::span<const iovec>{request.buffers, request.buffer_count},
                request.left);
    call.fd = pick_fd(disk, call);
    return call;
}

DiskCall allocation(const Disk& disk, const DiskRequest& request) noexcept {
    DiskCall call;
    call.kind = request.method == DiskRequest::Method::device_discard
                    ? DiskCall::Kind::device_discard
                    : DiskCall::Kind::allocate;
    call.fd = disk.fd();
    call.flags = FALLOC_FL_KEEP_SIZE |
                 (request.operation == DiskOperation::write_zeroes ? FALLOC_FL_ZERO_RANGE
                                                                   : FALLOC_FL_PUNCH_HOLE);
    call.offset = request.offset;
    call.size_bytes = request.left;
    return call;
}

// False: a flush is still to come.
bool finish(DiskRequest& request, int error) noexcept {
    if (error == 0 && request.afterwards == DiskRequest::Afterwards::flush) {
        request.set(DiskOperation::flush, 0, 0);
        return false;
    }
    request.error = error;
    return true;
}

// Moves on by what a read or write transferred.
bool advance(DiskRequest& request, std::uint64_t size_bytes) noexcept {
    request.offset += size_bytes;
    request.left -= size_bytes;
    if (request.method == DiskRequest::Method::first) {
        while (request.buffer_count > 0 && size_bytes >= request.buffers->iov_len) {
            size_bytes -= request.buffers->iov_len;
            ++request.buffers;
            --request.buffer_count;
        }
        if (size_bytes > 0) {
            iovec& partly = *request.buffers;
            partly = {static_cast<std::byte*>(partly.iov_base) + size_bytes,
                      partly.iov_len - size_bytes};
        }
    }
    return request.left == 0 && finish(request, 0);
}

// The file system or the device cannot do it this way.
bool try_otherwise(const Disk& disk, DiskRequest& request) noexcept {
    if (request.operation != DiskOperation::discard) {
        request.method = DiskRequest::Method::zero_writes;
        return false;
    }
    if (disk.is_block_device() && request.method == DiskRequest::Method::first) {
        request.method = DiskRequest::Method::device_discard;
        return false;
    }
    return finish(request, 0);  // a discard is only advice
}

bool is_transfer(const DiskRequest& request) noexcept {
    return request.operation <= DiskOperation::write_durably ||
           request.method == DiskRequest::Method::zero_writes;
}

}  // namespace

void DiskRequest::set(DiskOperation what, std::uint64_t at, std::uint64_t size_bytes,
                      std::span<iovec> memory) noexcept {
    operation = what;
    method = Method::first;
    afterwards = Afterwards::nothing;
    error = 0;
    offset = at;
    left = size_bytes;
    buffers = memory.data();
    buffer_count = static_cast<std::uint32_t>(memory.size());
    next = nullptr;
}

DiskCall next_call(const Disk& disk, const DiskRequest& request) noexcept {
    if (is_transfer(request)) {
        return transfer(disk, request);
    }
    if (request.operation == DiskOperation::flush) {
        DiskCall call;
        call.fd = disk.fd();
        return call;
    }
    return allocation(disk, request);
}

bool take_result(const Disk& disk, DiskRequest& request, std::int64_t result) noexcept {
    if (result == -EINTR) {
        return false;
    }
    if (is_transfer(request)) {
        if (result <= 0) {
            // Nothing there: the file was made shorter behind our back.
            return finish(request, result == 0 ? EIO : static_cast<int>(-result));
        }
        return advance(request, static_cast<std::uint64_t>(result));
    }
    const bool cannot = result == -EOPNOTSUPP || result == -ENOSYS || result == -ENOTTY;
    if (cannot && request.operation != DiskOperation::flush) {
        return try_otherwise(disk, request);
    }
    return finish(request, static_cast<int>(-result));
}

std::int64_t make_call(const DiskCall& call) noexcept {
    const auto buffers = call.many.empty() ? std::span{&call.one, 1} : call.many;
    const auto count = static_cast<int>(buffers.size());
    const auto offset = static_cast<off_t>(call.offset);
    std::int64_t result = -1;
    switch (call.kind) {
        case DiskCall::Kind::read:
            result = ::preadv2(call.fd, buffers.data(), count, offset, call.flags);
            break;
        case DiskCall::Kind::write:
            result = ::pwritev2(call.fd, buffers.data(), count, offset, call.flags);
            break;
        case DiskCall::Kind::datasync:
            result = ::fdatasync(call.fd);
            break;
        case DiskCall::Kind::allocate:
            result = ::fallocate(call.fd, call.flags, offset, static_cast<off_t>(call.size_bytes));
            break;
        case DiskCall::Kind::device_discard: {
            std::array<std::uint64_t, 2> range{call.offset, call.size_bytes};
            result = ::ioctl(call.fd, BLKDISCARD, range.data());
            break;
        }
    }
    return result < 0 ? -errno : result;
}

void run_to_end(const Disk& disk, DiskRequest& request) noexcept {
    while (!take_result(disk, request, make_call(next_call(disk, request)))) {
    }
}

}  // namespace shoal::backend
