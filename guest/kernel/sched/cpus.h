// The CPUs: their states, the kernel's lock, and how one makes the others look or stand still.
//
// Programs run on all CPUs at the same time, the kernel on one: whoever enters it takes its lock,
// and gives it back before the program goes on and while the CPU halts. The other CPUs wait in the
// nub until the kernel makes its first thread but one; up to then there is no lock to take.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/nub/nub.h"

// For variables of which each CPU has its own, at the same address (guest/nub/nub.h).
#define SHOAL_PER_CPU [[gnu::section(".cpu.kernel")]]

extern "C" bool shoal_several_cpus;

namespace shoal::guest {

struct Thread;

struct Cpu {
    std::uint32_t index = 0;
    bool runs = false;               // takes part
    bool is_idle = false;            // halts, or is about to, and nobody has called it yet
    bool is_looking = false;         // for a thread to run
    bool has_old_pages = false;      // must forget translations before it runs a program
    bool has_stale_pages = false;    // entries that it may have cached are gone: flush_pages()
    bool has_apic = false;           // its timer and interrupts are on
    unsigned space = 0;              // selected (page_table.h)
    std::uint64_t timer_set_ns = 0;  // when its timer was set, and for when: clock.cpp
    std::uint64_t timer_ns = 0;
    std::uint64_t counted_until = 0;  // time stamps: cpu_time.h
    std::uint64_t busy_ticks = 0;
    const Thread* running = nullptr;  // only to be compared
    Thread* idle = nullptr;           // its thread when no other can run; nullptr with one CPU
};

[[nodiscard]] Cpu& this_cpu();
[[nodiscard]] const Cpu& cpu_of(std::uint32_t index);  // below NUB_CPUS
// A variable that is SHOAL_PER_CPU, of the CPU whose page this is.
template <typename T>
[[nodiscard]] T& in_page(std::byte* page, T& variable) {
    // SAFETY: the page is laid out as the section.
    const auto offset = reinterpret_cast<std::uint64_t>(&variable) - NUB_CPU_KERNEL_PAGE;
    return *reinterpret_cast<T*>(page + offset);
}
// How many there are, as programs are told.
[[nodiscard]] std::uint32_t cpu_count();

// Whether others run, or soon will. Never turns back.
[[nodiscard]] inline bool several_cpus() {
    return shoal_several_cpus;
}
// Once there is work for them. Those for which there is no memory stay where they are.
void start_other_cpus();

// Nested takes are not allowed.
void take_kernel_lock();
void give_kernel_lock();
inline void lock_kernel() {
    if (several_cpus()) [[unlikely]] {
        take_kernel_lock();
    }
}
inline void unlock_kernel() {
    if (several_cpus()) [[unlikely]] {
        give_kernel_lock();
    }
}
class KernelLock {
public:
    KernelLock() { lock_kernel(); }
    ~KernelLock() { unlock_kernel(); }
    KernelLock(const KernelLock&) = delete;
    KernelLock& operator=(const KernelLock&) = delete;
};

// Halts without the lock, until an interrupt. `timer` is 0 or what prepare_timer() said.
void halt_cpu(std::uint64_t timer);
// Makes another CPU enter the kernel, or leave its halt.
void call_cpu(Cpu& cpu);
// Calls one that is idle. False: none is.
bool call_idle_cpu();
// Whether none but the calling one has a thread to run.
[[nodiscard]] bool others_are_idle();
// One that runs a program without a timer that would end its turn is to give others theirs.
void call_busy_cpu();

// Page tables change: CPUs that use the selected space (or all) stand still from the first change
// of a present entry on until let_others_go(), and then know the new ones. May be called again.
enum class Stop { space, all };
void stop_others(Stop which = Stop::space);
void let_others_go();

}  // namespace shoal::guest
