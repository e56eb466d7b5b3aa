// System calls about timers that end in a signal.
#include "guest/kernel/timers.h"

#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include <algorithm>

#include "guest/kernel/clock.h"
#include "guest/kernel/syscalls/calls.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest {
namespace {

constexpr std::uint64_t forever_seconds = 1ULL << 32;  // 136 years

// The first fields of struct sigevent.
struct SignalEvent {
    std::uint64_t value;
    std::int32_t number;
    std::int32_t notify;
    std::int32_t thread;
    std::int32_t padding;
};

Timer* find(Process& process, int id) {
    const auto found = std::ranges::find(process.timers, id, &Timer::id);
    return found == process.timers.end() ? nullptr : &*found;
}

std::uint64_t left_of(const Timer& timer) {
    const std::uint64_t now = monotonic_ns();
    if (timer.deadline_ns == no_deadline) {
        return 0;
    }
    return timer.deadline_ns > now ? timer.deadline_ns - now : 1;
}

void start(Timer& timer, std::uint64_t after_ns, std::uint64_t interval_ns) {
    timer.deadline_ns = after_ns == 0 ? no_deadline : monotonic_ns() + after_ns;
    timer.interval_ns = interval_ns;
    note_timers();
}

Result<std::uint64_t> duration_of(std::int64_t seconds, std::int64_t part,
                                  std::int64_t parts_per_second) {
    if (seconds < 0 || part < 0 || part >= parts_per_second) {
        return fail(Errno::inval);
    }
    const auto whole = std::min(static_cast<std::uint64_t>(seconds), forever_seconds);
    return whole * nanoseconds_per_second +
           static_cast<std::uint64_t>(part) *
               (nanoseconds_per_second / static_cast<std::uint64_t>(parts_per_second));
}

timeval timeval_of(std::uint64_t ns) {
    return {static_cast<time_t>(ns / nanoseconds_per_second),
            static_cast<suseconds_t>(ns % nanoseconds_per_second / 1000)};
}

timespec timespec_of(std::uint64_t ns) {
    return {static_cast<time_t>(ns / nanoseconds_per_second),
            static_cast<long>(ns % nanoseconds_per_second)};
}

Timer& real_timer(Process& process) {
    if (Timer* timer = find(process, real_timer_id); timer != nullptr) {
        return *timer;
    }
    return process.timers.emplace_back(
        Timer{.id = real_timer_id, .info = {SIGALRM, SI_KERNEL, 0, 0}});
}

std::int64_t give_itimer(Process& process, std::uint64_t to) {
    const Timer& timer = real_timer(process);
    const itimerval value{timeval_of(timer.interval_ns), timeval_of(left_of(timer))};
    return to == 0 || copy_to_user(to, &value, sizeof value) ? 0 : negative(Errno::fault);
}

std::int64_t give_timer(const Timer& timer, std::uint64_t to) {
    const itimerspec value{timespec_of(timer.interval_ns), timespec_of(left_of(timer))};
    return to == 0 || copy_to_user(to, &value, sizeof value) ? 0 : negative(Errno::fault);
}

Result<Timer> make_timer(const Process& process, std::uint64_t clock, std::uint64_t event_at) {
    SignalEvent event{0, SIGALRM, SIGEV_SIGNAL, 0, 0};
    if (event_at != 0 && !copy_from_user(&event, event_at, sizeof event)) {
        return fail(Errno::fault);
    }
    const bool is_known = event.notify == SIGEV_SIGNAL || event.notify == SIGEV_NONE ||
                          event.notify == SIGEV_THREAD_ID;
    const bool is_clock =
        clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME;
    if (!is_known || !is_clock || event.number <= 0 ||
        event.number > static_cast<int>(signal_count)) {
        return fail(Errno::inval);
    }
    if (process.timers.size() >= timer_limit) {
        return fail(Errno::again);
    }
    int id = 0;
    while (std::ranges::find(process.timers, id, &Timer::id) != process.timers.end()) {
        ++id;
    }
    Timer timer{.id = id, .clock = static_cast<int>(clock)};
    timer.thread = event.notify == SIGEV_THREAD_ID ? event.thread : 0;
    timer.info = {event.notify == SIGEV_NONE ? 0U : static_cast<unsigned>(event.number), SI_TIMER,
                  static_cast<std::uint64_t>(id),
                  event_at != 0 ? event.value : static_cast<std::uint64_t>(id)};
    return timer;
}

}  // namespace

std::int64_t sys_setitimer(Process& process, const Arguments& args) {
    if (args[0] != ITIMER_REAL) {
        return negative(Errno::inval);
    }
    itimerval wanted{};
    if (args[1] != 0 && !copy_from_user(&wanted, args[1], sizeof wanted)) {
        return negative(Errno::fault);
    }
    const auto after = duration_of(wanted.it_value.tv_sec, wanted.it_value.tv_usec, 1'000'000);
    const auto interval =
        duration_of(wanted.it_interval.tv_sec, wanted.it_interval.tv_usec, 1'000'000);
    if (!after || !interval) {
        return negative(Errno::inval);
    }
    if (const std::int64_t failed = give_itimer(process, args[2]); failed != 0) {
        return failed;
    }
    start(real_timer(process), *after, *interval);
    return 0;
}

std::int64_t sys_getitimer(Process& process, const Arguments& args) {
    return args[0] != ITIMER_REAL ? negative(Errno::inval) : give_itimer(process, args[1]);
}

std::int64_t sys_alarm(Process& process, const Arguments& args) {
    Timer& timer = real_timer(process);
    const std::uint64_t left = left_of(timer);
    start(timer, (args[0] & 0xFFFF'FFFF) * nanoseconds_per_second, 0);
    return static_cast<std::int64_t>((left + nanoseconds_per_second / 2) / nanoseconds_per_second);
}

std::int64_t sys_timer_create(Process& process, const Arguments& args) {
    const auto timer = make_timer(process, args[0], args[1]);
    if (!timer) {
        return negative(timer.error());
    }
    if (!copy_to_user(args[2], &timer->id, sizeof timer->id)) {
        return negative(Errno::fault);
    }
    process.timers.push_back(*timer);
    return 0;
}

std::int64_t sys_timer_settime(Process& process, const Arguments& args) {
    const auto [id, flags, wanted_at, old_at, unused1, unused2] = args;
    Timer* timer = static_cast<int>(id) < 0 ? nullptr : find(process, static_cast<int>(id));
    itimerspec wanted{};
    if (timer == nullptr || !copy_from_user(&wanted, wanted_at, sizeof wanted)) {
        return negative(timer == nullptr ? Errno::inval : Errno::fault);
    }
    auto after = duration_of(wanted.it_value.tv_sec, wanted.it_value.tv_nsec, 1'000'000'000);
    const auto interval =
        duration_of(wanted.it_interval.tv_sec, wanted.it_interval.tv_nsec, 1'000'000'000);
    if (!after || !interval) {
        return negative(Errno::inval);
    }
    if (const std::int64_t failed = give_timer(*timer, old_at); failed != 0) {
        return failed;
    }
    if ((flags & TIMER_ABSTIME) != 0 && *after != 0) {
        const std::uint64_t now = timer->clock == CLOCK_REALTIME ? realtime_ns() : monotonic_ns();
        *after = *after > now ? *after - now : 1;
    }
    start(*timer, *after, *interval);
    return 0;
}

std::int64_t sys_timer_gettime(Process& process, const Arguments& args) {
    const int id = static_cast<int>(args[0]);
    const Timer* timer = id < 0 ? nullptr : find(process, id);
    return timer == nullptr ? negative(Errno::inval) : give_timer(*timer, args[1]);
}

std::int64_t sys_timer_getoverrun(Process& process, const Arguments& args) {
    const int id = static_cast<int>(args[0]);
    const Timer* timer = id < 0 ? nullptr : find(process, id);
    return timer == nullptr ? negative(Errno::inval) : timer->overruns;
}

std::int64_t sys_timer_delete(Process& process, const Arguments& args) {
    const int id = static_cast<int>(args[0]);
    const auto count = std::erase_if(
        process.timers, [id](const Timer& timer) { return id >= 0 && timer.id == id; });
    return count == 0 ? negative(Errno::inval) : 0;
}

}  // namespace shoal::guest
