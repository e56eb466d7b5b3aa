// Two clocks.
#include "vmm/machine/boot_time.h"

#include <time.h>

#include <array>
#include <cstdio>

#include "devices/host/clock.h"

namespace shoal::vmm {
namespace {

std::uint64_t clock_us(clockid_t clock) noexcept {
    return host::clock_ns(clock) / 1000;
}

}  // namespace

ProcessTimes ProcessTimes::now() noexcept {
    return {clock_us(CLOCK_MONOTONIC), clock_us(CLOCK_PROCESS_CPUTIME_ID)};
}

std::string boot_time_line(const ProcessTimes& started, const ProcessTimes& booted) {
    const auto us = static_cast<unsigned long long>(booted.monotonic_us - started.monotonic_us);
    const auto cpu_us = static_cast<unsigned long long>(booted.cpu_us - started.cpu_us);
    std::array<char, 160> line;
    std::snprintf(line.data(), line.size(),
                  "Guest-boot-time = %6llu us %llu ms, %6llu CPU us %llu CPU ms", us, us / 1000,
                  cpu_us, cpu_us / 1000);
    return line.data();
}

}  // namespace shoal::vmm
