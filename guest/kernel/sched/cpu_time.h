// CPU time: how long threads ran, in ticks of the time-stamp counter.
//
// Counted where a CPU goes from one thread to another, and where it halts: what a thread uses in
// the kernel and in its program is one sum, and interrupts belong to whom they meet.
#pragma once

#include <cstdint>

namespace shoal::guest {

struct Process;
struct Thread;

// What the CPU has done since the last call was the running thread's work.
void count_cpu_time();
// It was nobody's: a halt.
void skip_cpu_time();

[[nodiscard]] std::uint64_t cpu_time_ns(const Thread& thread);
// Of all its threads, also those that have ended.
[[nodiscard]] std::uint64_t cpu_time_ns(const Process& process);
// Of its children that have ended and were waited for, and of theirs.
[[nodiscard]] std::uint64_t children_time_ns(const Process& process);
// How long a CPU, by its index, has run threads.
[[nodiscard]] std::uint64_t busy_time_ns(std::uint32_t cpu);

// A thread ends: its process keeps what it used.
void keep_cpu_time(const Thread& ended);
// A child was waited for: its parent keeps what it and its children used.
void keep_cpu_time(Process& parent, const Process& child);

}  // namespace shoal::guest
