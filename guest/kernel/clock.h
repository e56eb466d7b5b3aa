// Time: the KVM clock, read without leaving ring 3.
//
// Monotonic time counts from the microVM's start; wall-clock time is what the host said then.
// Without a KVM clock the TSC's frequency comes from CPUID, and wall-clock time is unknown (0).
#pragma once

#include <cstdint>

namespace shoal::guest {

inline constexpr std::uint64_t nanoseconds_per_second = 1'000'000'000;

void start_clock();
// Programs look at the clock by themselves, where all CPUs that run them can.
void tell_vdso();

[[nodiscard]] std::uint64_t monotonic_ns();
[[nodiscard]] std::uint64_t realtime_ns();
[[nodiscard]] std::uint64_t tsc_frequency_khz();
// Of so many ticks of the time-stamp counter.
[[nodiscard]] std::uint64_t nanoseconds_in(std::uint64_t ticks);

// Halts until `deadline_ns` of monotonic time has passed, or an interrupt comes. As
// wait_for_interrupt().
void wait_until(std::uint64_t deadline_ns);
// An interrupt comes when this time has passed, or earlier if it was asked for. Cheap when one is
// on its way that is early enough.
void set_timer(std::uint64_t deadline_ns);
// The same, but for the nub call, which is left to halt_cpu(): what that needs.
[[nodiscard]] std::uint64_t prepare_timer(std::uint64_t deadline_ns);
// Turns interrupts on again, if they were.
void restore_interrupts();
// Takes the marks of the calling CPU's interrupts, as every look at what has come begins. False:
// there are none, but perhaps one of the kernel's own.
bool take_interrupts();
// How often interrupts were taken among which one was not the timer's: devices have something new
// when it has grown.
[[nodiscard]] std::uint64_t interrupts_of_devices();
// Halts until an interrupt comes (or came since the last wait). With several CPUs returns before,
// after a while: for drivers, which look again. The kernel's lock stays taken.
void wait_for_interrupt();
// The calling CPU gets interrupts from now on.
void enable_interrupts();

// Lets device interrupts of this I/O APIC pin end a wait. Edge-triggered.
void enable_interrupt(std::uint32_t pin);

}  // namespace shoal::guest
