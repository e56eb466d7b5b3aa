// A timerfd in the reactor.
#include "devices/backend/vsock_timer.h"

#include <sys/timerfd.h>

#include "devices/host/check.h"
#include "devices/host/os_error.h"

namespace shoal::backend {

VsockTimer::VsockTimer(host::Reactor& reactor, Client& client)
    : reactor_{reactor},
      client_{client},
      fd_{host::check_os(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                         "timerfd_create")} {
    reactor_.add(fd_.get(), EPOLLIN, *this);
}

VsockTimer::~VsockTimer() {
    reactor_.remove(fd_.get(), *this);
}

void VsockTimer::start(std::uint32_t delay_ms) const noexcept {
    itimerspec when{};
    when.it_value.tv_sec = delay_ms / 1000;
    when.it_value.tv_nsec = static_cast<long>(delay_ms % 1000) * 1'000'000;
    if (delay_ms == 0) {
        when.it_value.tv_nsec = 1;  // 0 would stop it
    }
    SHOAL_CHECK(::timerfd_settime(fd_.get(), 0, &when, nullptr) == 0);
}

void VsockTimer::on_events(std::uint32_t) noexcept {
    std::uint64_t count = 0;
    // Nothing to read: it was started anew after the event was fetched.
    if (::read(fd_.get(), &count, sizeof count) == sizeof count) {
        client_.on_timer();
    }
}

}  // namespace shoal::backend
