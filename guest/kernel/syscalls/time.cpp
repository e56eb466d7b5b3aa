// System calls about time.
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

#include "guest/kernel/clock.h"
#include "guest/kernel/process_table.h"
#include "guest/kernel/sched/cpu_time.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/kernel/syscalls/calls.h"
#include "guest/kernel/syscalls/duration.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest {
namespace {

constexpr std::uint64_t ticks_per_second = 100;  // AT_CLKTCK

template <typename T>
std::int64_t give(UserAddress to, const T& value) {
    return copy_to_user(to, &value, sizeof value) ? 0 : negative(Errno::fault);
}

timespec timespec_of(std::uint64_t ns) {
    return {static_cast<time_t>(ns / nanoseconds_per_second),
            static_cast<long>(ns % nanoseconds_per_second)};
}

// The clocks of pthread_getcpuclockid() and clock_getcpuclockid(): a number in the upper bits,
// below 0, and of whom in the lower three.
Result<std::uint64_t> time_of_number(std::int32_t clock) {
    constexpr std::int32_t kind_mask = 7;
    constexpr std::int32_t of_process = 2;
    constexpr std::int32_t of_thread = 6;
    const int number = ~(clock >> 3);
    if (clock >= 0) {
        return fail(Errno::inval);
    }
    if ((clock & kind_mask) == of_process) {
        const Process* found = number == 0 ? &process() : find_process(number);
        return found != nullptr ? Result<std::uint64_t>{cpu_time_ns(*found)} : fail(Errno::inval);
    }
    if ((clock & kind_mask) == of_thread) {
        const Process& self = process();
        for (const Thread* thread = self.threads.first(); thread != nullptr;
             thread = self.threads.behind(*thread)) {
            if (thread->id == number || (number == 0 && thread == &current_thread())) {
                return cpu_time_ns(*thread);
            }
        }
    }
    return fail(Errno::inval);
}

Result<std::uint64_t> now_of(std::uint64_t clock) {
    switch (clock) {
        case CLOCK_REALTIME:
        case CLOCK_REALTIME_COARSE:
        case CLOCK_REALTIME_ALARM:
        case CLOCK_TAI:
            return realtime_ns();
        case CLOCK_MONOTONIC:
        case CLOCK_MONOTONIC_RAW:
        case CLOCK_MONOTONIC_COARSE:
        case CLOCK_BOOTTIME:
        case CLOCK_BOOTTIME_ALARM:
            return monotonic_ns();
        case CLOCK_PROCESS_CPUTIME_ID:
            return cpu_time_ns(process());
        case CLOCK_THREAD_CPUTIME_ID:
            return cpu_time_ns(current_thread());
    }
    return time_of_number(static_cast<std::int32_t>(clock));
}

// Until a point of monotonic time; what is left when a signal comes first goes to `remaining`.
std::int64_t sleep(std::uint64_t deadline_ns, std::uint64_t remaining) {
    if (sleep_until(deadline_ns)) {
        return 0;
    }
    const std::uint64_t now = monotonic_ns();
    if (remaining != 0 && give(remaining, timespec_of(deadline_ns > now ? deadline_ns - now : 0))) {
        return negative(Errno::fault);
    }
    return negative(Errno::intr);
}

}  // namespace

Result<std::uint64_t> read_duration(UserAddress from) {
    timespec time{};
    if (!copy_from_user(&time, from, sizeof time)) {
        return fail(Errno::fault);
    }
    if (time.tv_sec < 0 || time.tv_nsec < 0 ||
        time.tv_nsec >= static_cast<long>(nanoseconds_per_second)) {
        return fail(Errno::inval);
    }
    constexpr time_t forever_seconds = 1L << 32;  // 136 years
    const auto seconds =
        static_cast<std::uint64_t>(time.tv_sec < forever_seconds ? time.tv_sec : forever_seconds);
    return seconds * nanoseconds_per_second + static_cast<std::uint64_t>(time.tv_nsec);
}

std::int64_t sys_clock_gettime(Process&, const Arguments& args) {
    const auto now = now_of(args[0]);
    return now ? give(args[1], timespec_of(*now)) : negative(now.error());
}

std::int64_t sys_clock_getres(Process&, const Arguments& args) {
    if (const auto now = now_of(args[0]); !now) {
        return negative(now.error());
    }
    return args[1] == 0 ? 0 : give(args[1], timespec_of(1));
}

std::int64_t sys_gettimeofday(Process&, const Arguments& args) {
    const std::uint64_t now = realtime_ns();
    const timeval time{static_cast<time_t>(now / nanoseconds_per_second),
                       static_cast<suseconds_t>(now % nanoseconds_per_second / 1000)};
    return args[0] == 0 ? 0 : give(args[0], time);
}

std::int64_t sys_time(Process&, const Arguments& args) {
    const auto seconds = static_cast<std::int64_t>(realtime_ns() / nanoseconds_per_second);
    if (args[0] != 0 && give(args[0], seconds) != 0) {
        return negative(Errno::fault);
    }
    return seconds;
}

std::int64_t sys_times(Process& process, const Arguments& args) {
    const auto ticks_in = [](std::uint64_t ns) {
        return static_cast<std::int64_t>(ns / (nanoseconds_per_second / ticks_per_second));
    };
    const std::int64_t ticks = ticks_in(monotonic_ns());
    const tms times{ticks_in(cpu_time_ns(process)), 0, ticks_in(children_time_ns(process)), 0};
    if (args[0] != 0 && give(args[0], times) != 0) {
        return negative(Errno::fault);
    }
    return ticks;
}

std::int64_t sys_nanosleep(Process&, const Arguments& args) {
    const auto duration = read_duration(args[0]);
    if (!duration) {
        return negative(duration.error());
    }
    return sleep(monotonic_ns() + *duration, args[1]);
}

std::int64_t sys_clock_nanosleep(Process&, const Arguments& args) {
    const auto [clock, flags, request, remaining, unused1, unused2] = args;
    const auto now = now_of(clock);
    if (!now) {
        return negative(now.error());
    }
    const auto time = read_duration(request);
    if (!time) {
        return negative(time.error());
    }
    if ((flags & TIMER_ABSTIME) == 0) {
        return sleep(monotonic_ns() + *time, remaining);
    }
    return sleep(monotonic_ns() + (*time > *now ? *time - *now : 0), 0);
}

}  // namespace shoal::guest
