// Timeouts, and places in the queues of several files.
#include "guest/kernel/syscalls/files_wait.h"

#include <limits>
#include <new>

namespace shoal::guest::files {

Result<std::uint64_t> fetch_timeout(UserAddress address, std::uint64_t units_per_second) {
    if (address == 0) {
        return no_deadline;
    }
    TimeSpec time;
    if (!fetch(time, address)) {
        return fail(Errno::fault);
    }
    const auto fraction = static_cast<std::uint64_t>(time.nanoseconds);  // huge if negative
    if (time.seconds < 0 || fraction >= units_per_second) {
        return fail(Errno::inval);
    }
    constexpr std::uint64_t seconds_max = std::numeric_limits<std::int64_t>::max() / second_ns - 1;
    const std::uint64_t seconds = std::min(static_cast<std::uint64_t>(time.seconds), seconds_max);
    return seconds * second_ns + fraction * (second_ns / units_per_second);
}

Result<void> set_mask(UserAddress mask, std::uint64_t size_bytes) {
    std::uint64_t value = 0;
    if (mask == 0) {
        return {};
    }
    if (size_bytes != sizeof value) {
        return fail(Errno::inval);
    }
    if (!fetch(value, mask)) {
        return fail(Errno::fault);
    }
    set_mask_during_call(value);
    return {};
}

std::int64_t with_mask_restored(std::int64_t result) {
    if (result != negative(Errno::intr)) {
        restore_mask();
    }
    return result;
}

Result<void> FileWait::reserve(std::size_t capacity) {
    watched_.reset(new (std::nothrow_t{}) Watched[capacity]);
    return watched_ ? Result<void>{} : fail(Errno::nomem);
}

void FileWait::add(OpenFileRef file) noexcept {
    if (WaitQueue* queue = file->inode().wait_queue(*file); queue != nullptr) {
        Watched& watched = watched_[count_++];
        watched.file = std::move(file);
        watched.place.join(*queue, waiter_);
    }
}

}  // namespace shoal::guest::files
