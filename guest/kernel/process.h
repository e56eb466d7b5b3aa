// Process: a program with its memory, files, signals and threads. The first one, number 1, is the
// microVM's: when it ends, the microVM does.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "guest/kernel/address_space.h"
#include "guest/kernel/fs/ref.h"
#include "guest/kernel/patch/syscall_patcher.h"
#include "guest/kernel/registers.h"
#include "guest/kernel/resource_limits.h"
#include "guest/kernel/sched/queue.h"
#include "guest/kernel/sched/thread.h"
#include "guest/kernel/sched/wait_queue.h"
#include "guest/kernel/signals.h"
#include "guest/kernel/syscalls/files.h"
#include "guest/kernel/timers.h"

namespace shoal::guest {

enum class Tracing { off, on };

// An address space, and what the kernel changed in its code. Shared after vfork, until execve.
struct ProgramMemory final : AddressSpace {
    SyscallPatcher patcher;

    void retain() noexcept { ++references_; }
    void release() noexcept {
        if (--references_ == 0) {
            delete this;
        }
    }

private:
    std::uint32_t references_ = 0;
};

// A parent that waits until its vfork()ed child has memory of its own or is gone.
struct Vfork {
    WaitQueue over{};
    bool is_over = false;
};

// The strings of argv and envp, as execve copied them.
struct Words {
    std::vector<std::vector<char>> strings{};  // each with its NUL
    std::size_t size_bytes = 0;

    void retain() noexcept { ++references_; }
    void release() noexcept {
        if (--references_ == 0) {
            delete this;
        }
    }

private:
    std::uint32_t references_ = 0;
};

struct Process {
    Process(int number, const FileContext& context) : id{number}, files{context} {}

    int id;
    Process* parent = nullptr;
    QueueLink<Process> table_link{};
    QueueLink<Process> sibling_link{};
    Queue<Process, &Process::sibling_link> children{};
    Queue<Thread, &Thread::process_link> threads{};

    Ref<ProgramMemory> memory;
    Signals signals;
    std::unique_ptr<FileTable> own_table{};  // what `files` borrows; not the first process's
    FileContext files;
    EntryRef executable;
    std::vector<std::string_view> arguments{};
    std::vector<std::string_view> environment{};
    Ref<Words> words{};  // that hold the above; empty: they live for ever
    Timers timers{};
    ResourceLimits limits{};
    Tracing tracing = Tracing::off;

    int group = 1;
    int session = 1;
    unsigned exit_signal = 0;  // what the parent gets at the end
    enum class State { alive, ended } state = State::alive;
    int wait_status = 0;               // as wait4 has it
    std::uint64_t ended_ticks = 0;     // CPU time of threads that have ended: cpu_time.h
    std::uint64_t children_ticks = 0;  // and of children that were waited for
    WaitQueue child_ended{};           // wait4
    WaitQueue thread_ended{};          // execve
    Vfork* vfork = nullptr;            // its parent's, on the stack of the thread that waits
};

inline constexpr int first_process_id = 1;

// The process of the running thread.
[[nodiscard]] Process& process();
void make_first_process(const FileContext& files);

// Gives up the process's memory, which a vfork parent may wait for.
void release_memory(Process& process);
// All but the calling one of the process end at their next chance.
void end_other_threads();
// Ends the calling thread, and with the last one the process, with this status.
[[noreturn]] void end_thread(int wait_status = 0);
// Ends the calling process with an exit code. The first one's ends the microVM.
[[noreturn]] void exit_process(int code);
// As a program ends that a signal killed. The first one says so on stderr, exit code 128 + number.
[[noreturn]] void die_of_signal(unsigned number);
[[noreturn]] void die_of_fault(const SignalInfo& info, const Registers& registers);

// Writes to the console's standard error.
void print_message(std::string_view text);

}  // namespace shoal::guest
