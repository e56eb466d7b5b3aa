// CPU time: the counters of threads, processes and CPUs.
#include "guest/kernel/sched/cpu_time.h"

#include "guest/kernel/clock.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/process.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/kernel/sched/thread.h"

namespace shoal::guest {
namespace {

// Time stamps of two CPUs may differ a little.
std::uint64_t ticks_since(const Cpu& cpu) {
    const std::uint64_t now = read_tsc();
    return now > cpu.counted_until ? now - cpu.counted_until : 0;
}

std::uint64_t ticks_of(const Thread& thread) {
    return thread.ran_ticks + (thread.cpu != nullptr ? ticks_since(*thread.cpu) : 0);
}

std::uint64_t ticks_of(const Process& process) {
    std::uint64_t ticks = process.ended_ticks;
    for (const Thread* thread = process.threads.first(); thread != nullptr;
         thread = process.threads.behind(*thread)) {
        ticks += ticks_of(*thread);
    }
    return ticks;
}

}  // namespace

void count_cpu_time() {
    Cpu& cpu = this_cpu();
    Thread& thread = current_thread();
    const std::uint64_t ticks = ticks_since(cpu);
    cpu.counted_until += ticks;
    thread.ran_ticks += ticks;
    cpu.busy_ticks += &thread == cpu.idle ? 0 : ticks;
}

void skip_cpu_time() {
    this_cpu().counted_until = read_tsc();
}

std::uint64_t cpu_time_ns(const Thread& thread) {
    return nanoseconds_in(ticks_of(thread));
}

std::uint64_t cpu_time_ns(const Process& process) {
    return nanoseconds_in(ticks_of(process));
}

std::uint64_t children_time_ns(const Process& process) {
    return nanoseconds_in(process.children_ticks);
}

std::uint64_t busy_time_ns(std::uint32_t index) {
    const Cpu& cpu = cpu_of(index);
    const bool is_busy = cpu.running != nullptr && cpu.running != cpu.idle && !cpu.is_idle;
    return nanoseconds_in(cpu.busy_ticks + (is_busy ? ticks_since(cpu) : 0));
}

void keep_cpu_time(const Thread& ended) {
    ended.process->ended_ticks += ticks_of(ended);
}

void keep_cpu_time(Process& parent, const Process& child) {
    parent.children_ticks += ticks_of(child) + child.children_ticks;
}

}  // namespace shoal::guest
