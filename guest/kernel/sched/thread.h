// Thread: one flow of a program's control, with a kernel stack of its own.
//
// A thread's block holds this object, its vector registers, and the kernel stack, at whose top lie
// the registers of its program. Kernel code runs to its end or to block(); only the program is
// interrupted.
#pragma once

#include <array>
#include <cstdint>

#include "guest/kernel/registers.h"
#include "guest/kernel/sched/queue.h"
#include "guest/kernel/sched/vector_state.h"
#include "guest/kernel/sched/wait_queue.h"
#include "guest/kernel/signals.h"

namespace shoal::guest {

struct Cpu;
struct Process;

inline constexpr std::size_t kernel_stack_bytes = 32768;
// Stacks are kept for the next thread, never given back.
inline constexpr unsigned thread_limit = 1024;

struct Thread {
    Thread(Process& of, int number) : process{&of}, id{number} {}
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;

    Process* process;
    int id;

    // Scheduling.
    QueueLink<Thread> run_link{};
    QueueLink<Thread> deadline_link{};
    QueueLink<Thread> process_link{};
    std::uint64_t deadline_ns = no_deadline;
    std::uint64_t stack_pointer = 0;  // while another thread runs
    std::byte* stack = nullptr;       // its lowest byte
    enum class State { waiting, runnable, running } state = State::waiting;
    Cpu* cpu = nullptr;  // that it runs on
    enum class End { no, wanted } end = End::no;
    std::uint64_t ran_ticks = 0;  // cpu_time.h

    // The system call that it is in, or no_call.
    static constexpr std::uint64_t no_call = UINT64_MAX;
    std::uint64_t call = no_call;

    ThreadSignals signals;
    std::uint64_t clear_child_tid = 0;
    std::uint64_t cpus = ~0ULL;  // sched_setaffinity's mask
    std::uint64_t robust_list = 0;
    std::array<char, 16> name{"init"};

    std::uint64_t fs = 0;  // while another thread runs
    std::uint64_t gs = 0;
    VectorState vectors{};

    // The program's registers, while the thread is in the kernel.
    [[nodiscard]] Registers& registers() const {
        return *reinterpret_cast<Registers*>(stack + kernel_stack_bytes - sizeof(Registers));
    }
};

[[nodiscard]] Thread& current_thread();

// The first thread, on whose stack the kernel starts.
void make_first_thread(Process& process);

// A thread that resumes its program when it first runs, which make_runnable() allows. Its kernel
// stack is empty but for the registers, which are the caller's to set. nullptr at the limit or when
// memory is gone.
[[nodiscard]] Thread* make_thread(Process& process, int id);
// May be the running thread, if it does not block or make threads afterwards.
void free_thread(Thread& thread);

// Gives the CPU to `next`; returns when somebody does the same for the caller.
void switch_to(Thread& next);

// What a CPU runs when no thread can: runs idle() on a stack of its own, and has no program.
// nullptr when memory is gone.
[[nodiscard]] Thread* make_idle_thread();
// The CPU whose page this is (cpus.h) starts with its idle thread.
void start_with(Thread& idle, std::byte* page);

}  // namespace shoal::guest
