// A timerfd on the deadline's own clock.
#include "vmm/machine/fence_timer.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "devices/host/os_error.h"

namespace shoal::vmm {
namespace {

constexpr std::uint64_t retry_ns = 50'000'000;
constexpr std::uint64_t second_ns = 1'000'000'000;

}  // namespace

FenceTimer::FenceTimer(boost::asio::io_context& context, const host::DeadlineFile& fence,
                       std::function<void()> look)
    : fence_{fence},
      look_{std::move(look)},
      timer_{context, host::check_os(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK),
                                     "timerfd_create")} {
    arm();
    wait();
}

void FenceTimer::arm() {
    const std::uint64_t now = host::boottime_ns();
    const std::uint64_t deadline = fence_.deadline_ns();
    const std::uint64_t next = deadline > now ? deadline : now + retry_ns;
    itimerspec when{};
    when.it_value.tv_sec = static_cast<time_t>(next / second_ns);
    when.it_value.tv_nsec = static_cast<long>(next % second_ns);
    host::check_os(::timerfd_settime(timer_.native_handle(), TFD_TIMER_ABSTIME, &when, nullptr),
                   "timerfd_settime");
}

void FenceTimer::wait() {
    timer_.async_wait(
        boost::asio::posix::stream_descriptor::wait_read,
        [this](const boost::system::error_code& error) {
            if (error) {
                return;
            }
            std::uint64_t count = 0;
            static_cast<void>(::read(timer_.native_handle(), &count, sizeof count) > 0);
            look_();
            arm();
            wait();
        });
}

}  // namespace shoal::vmm
