// The vDSO (vdso(7)): the time, told to programs without a system call. A shared object of its own
// that the kernel maps into every program.
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include <cstdint>
#include <initializer_list>

#include "guest/vdso/kvm_clock.h"

namespace {

using shoal::guest::VdsoData;

constexpr std::uint64_t nanoseconds_per_second = 1'000'000'000;
constexpr std::uint32_t bit(clockid_t clock) {
    return std::uint32_t{1} << clock;
}
// As the kernel has them (syscalls/time.cpp), but for what each process or thread has its own of.
constexpr std::uint32_t wall_clocks =
    bit(CLOCK_REALTIME) | bit(CLOCK_REALTIME_COARSE) | bit(CLOCK_REALTIME_ALARM) | bit(CLOCK_TAI);
constexpr std::uint32_t monotonic_clocks = bit(CLOCK_MONOTONIC) | bit(CLOCK_MONOTONIC_RAW) |
                                           bit(CLOCK_MONOTONIC_COARSE) | bit(CLOCK_BOOTTIME) |
                                           bit(CLOCK_BOOTTIME_ALARM);

// The kernel puts the address of its VdsoData here (guest/kernel/vdso.cpp).
__attribute__((section(".shoal_data"), used)) const volatile std::uint64_t data_address = 0;

const VdsoData& kernel_data() {
    // SAFETY: the kernel's memory is mapped in every program, and its data is there for ever.
    return *reinterpret_cast<const VdsoData*>(data_address);
}

long system_call(long number, std::uint64_t first, const void* second,
                 const void* third = nullptr) {
    long result = number;
    asm volatile("syscall"
                 : "+a"(result)
                 : "D"(first), "S"(second), "d"(third)
                 : "rcx", "r11", "memory");
    return result;
}

bool is_one_of(clockid_t clock, std::uint32_t set) {
    return clock >= 0 && clock < 32 && (set & bit(clock)) != 0;
}

std::uint64_t wall_clock_ns(const VdsoData& data) {
    return data.wall_clock_at_start_ns + read_kvm_clock(data.system_time);
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int __vdso_clock_gettime(clockid_t clock, timespec* to) {
    const VdsoData& data = kernel_data();
    const bool is_wall_clock = is_one_of(clock, wall_clocks);
    if (data.is_clock_ready == 0 || !(is_wall_clock || is_one_of(clock, monotonic_clocks))) {
        return static_cast<int>(
            system_call(SYS_clock_gettime, static_cast<std::uint64_t>(clock), to));
    }
    const std::uint64_t ns = is_wall_clock ? wall_clock_ns(data) : read_kvm_clock(data.system_time);
    to->tv_sec = static_cast<time_t>(ns / nanoseconds_per_second);
    to->tv_nsec = static_cast<long>(ns % nanoseconds_per_second);
    return 0;
}

__attribute__((visibility("default"))) int __vdso_clock_getres(clockid_t clock, timespec* to) {
    if (!is_one_of(clock, wall_clocks | monotonic_clocks)) {
        return static_cast<int>(
            system_call(SYS_clock_getres, static_cast<std::uint64_t>(clock), to));
    }
    if (to != nullptr) {
        *to = {0, 1};
    }
    return 0;
}

__attribute__((visibility("default"))) int __vdso_gettimeofday(timeval* to, void* zone) {
    const VdsoData& data = kernel_data();
    if (data.is_clock_ready == 0) {
        return static_cast<int>(
            system_call(SYS_gettimeofday, reinterpret_cast<std::uint64_t>(to), zone));
    }
    if (to != nullptr) {
        const std::uint64_t ns = wall_clock_ns(data);
        to->tv_sec = static_cast<time_t>(ns / nanoseconds_per_second);
        to->tv_usec = static_cast<suseconds_t>(ns % nanoseconds_per_second / 1000);
    }
    return 0;
}

__attribute__((visibility("default"))) time_t __vdso_time(time_t* to) {
    const VdsoData& data = kernel_data();
    if (data.is_clock_ready == 0) {
        return system_call(SYS_time, reinterpret_cast<std::uint64_t>(to), nullptr);
    }
    const auto seconds = static_cast<time_t>(wall_clock_ns(data) / nanoseconds_per_second);
    if (to != nullptr) {
        *to = seconds;
    }
    return seconds;
}

__attribute__((visibility("default"))) int __vdso_getcpu(unsigned* cpu, unsigned* node,
                                                         void* cache) {
    if (kernel_data().cpu_count != 1) {
        return static_cast<int>(
            system_call(SYS_getcpu, reinterpret_cast<std::uint64_t>(cpu), node, cache));
    }
    for (unsigned* to : {cpu, node}) {
        if (to != nullptr) {
            *to = 0;
        }
    }
    return 0;
}
}
