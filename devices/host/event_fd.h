// An eventfd: a counter that wakes a poll. Non-blocking; signal() and drain() may be called from
// any thread.
#pragma once

#include <sys/eventfd.h>

#include <cstdint>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::host {

class EventFd {
public:
    EventFd() : fd_{check_os(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")} {}

    void signal() const noexcept {
        const std::uint64_t one = 1;
        // Fails only when the counter is full, and then the reader is already due to wake.
        [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
    }

    // Resets the counter; true when it had been signalled since the last call.
    bool drain() const noexcept {
        std::uint64_t count = 0;
        return ::read(fd_.get(), &count, sizeof count) == sizeof count;
    }

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

private:
    UniqueFd fd_;
};

}  // namespace shoal::host
