// The ways processes and threads end.
#include "guest/kernel/process.h"

#include <signal.h>
#include <sys/wait.h>

#include <array>
#include <new>

#include "guest/kernel/console.h"
#include "guest/kernel/message.h"
#include "guest/kernel/net/socket.h"
#include "guest/kernel/net/vsock_transport.h"
#include "guest/kernel/panic.h"
#include "guest/kernel/process_table.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/kernel/syscalls/futex.h"
#include "guest/net/net.h"

namespace shoal::guest {
namespace {

alignas(Process) constinit std::array<std::byte, sizeof(Process)> storage{};

std::string_view signal_name(unsigned number) {
    switch (number) {
        case SIGHUP:
            return "SIGHUP";
        case SIGINT:
            return "SIGINT";
        case SIGQUIT:
            return "SIGQUIT";
        case SIGILL:
            return "SIGILL";
        case SIGTRAP:
            return "SIGTRAP";
        case SIGABRT:
            return "SIGABRT";
        case SIGBUS:
            return "SIGBUS";
        case SIGFPE:
            return "SIGFPE";
        case SIGKILL:
            return "SIGKILL";
        case SIGSEGV:
            return "SIGSEGV";
        case SIGPIPE:
            return "SIGPIPE";
        case SIGALRM:
            return "SIGALRM";
        case SIGTERM:
            return "SIGTERM";
    }
    return "a signal";
}

// What the first process has sent still leaves.
[[noreturn]] void end_machine(int code) {
    find_process(first_process_id)->files.table.close_all();
    net::drain();
    drain_vsock();
    flush_console();
    power_off(static_cast<std::uint32_t>(code) & 0xFF);
}

[[noreturn]] void end_machine(const Message& text, unsigned number) {
    print_message(text.view());
    end_machine(static_cast<int>(128 + number));
}

// All threads of the calling process end; the last one ends the process.
[[noreturn]] void end_process(int wait_status) {
    end_other_threads();
    end_thread(wait_status);
}

SignalInfo end_info(const Process& ended) {
    const int status = ended.wait_status;
    const bool exited = WIFEXITED(status);
    return {ended.exit_signal, exited ? CLD_EXITED : CLD_KILLED,
            static_cast<std::uint64_t>(ended.id),
            static_cast<std::uint64_t>(exited ? WEXITSTATUS(status) : WTERMSIG(status))};
}

void adopt_children(Process& ended) {
    Process& first = *find_process(first_process_id);
    while (Process* child = ended.children.pop_front()) {
        child->parent = &first;
        first.children.push_back(*child);
    }
}

enum class Remains { wanted, unwanted };

// Tells the parent; gives everything back but what wait4 wants to know, if anybody does.
Remains finish(Process& ended) {
    ended.files.table.close_all();
    ended.files.working_directory = {};
    ended.executable = {};
    ended.timers.clear();
    release_memory(ended);
    adopt_children(ended);
    ended.state = Process::State::ended;
    Process& parent = *ended.parent;
    const SignalAction& action = parent.signals.action(SIGCHLD);
    const bool unwanted = action.handler == 1 || (action.flags & SA_NOCLDWAIT) != 0;
    if (ended.exit_signal != 0) {
        static_cast<void>(send_signal(parent, end_info(ended)));
    }
    parent.child_ended.wake_all();
    return unwanted && ended.exit_signal == SIGCHLD ? Remains::unwanted : Remains::wanted;
}

}  // namespace

Process& process() {
    return *current_thread().process;
}

Credentials own_credentials() noexcept {
    return {static_cast<std::uint32_t>(process().id), 0, 0};
}

void make_first_process(const FileContext& files) {
    auto& first = *new (storage.data()) Process{first_process_id, files};
    first.memory = Ref{new ProgramMemory};
    add_process(first);
    make_first_thread(first);
}

void release_memory(Process& process) {
    process.memory = {};
    if (process.vfork != nullptr) {
        process.vfork->is_over = true;
        process.vfork->over.wake_all();
        process.vfork = nullptr;
    }
}

void end_other_threads() {
    Process& self = process();
    for (Thread* thread = self.threads.first(); thread != nullptr;
         thread = self.threads.behind(*thread)) {
        if (thread != &current_thread()) {
            thread->end = Thread::End::wanted;
            interrupt(*thread);
        }
    }
}

void end_thread(int wait_status) {
    Thread& self = current_thread();
    Process& of = *self.process;
    if (self.end == Thread::End::no) {
        of.wait_status = wait_status;
    }
    if (of.memory) {
        release_futexes(self);
    }
    const bool is_last = of.threads.first() == &self && of.threads.behind(self) == nullptr;
    if (is_last && of.id == first_process_id) {
        end_machine(WIFEXITED(of.wait_status) ? WEXITSTATUS(of.wait_status)
                                              : 128 + WTERMSIG(of.wait_status));
    }
    const Remains remains = is_last ? finish(of) : Remains::wanted;
    free_thread(self);
    of.thread_ended.wake_all();
    if (remains == Remains::unwanted) {
        forget_process(of);
    }
    leave_thread();
}

void exit_process(int code) {
    if (process().id == first_process_id) {
        end_machine(code);
    }
    end_process(W_EXITCODE(code & 0xFF, 0));
}

void die_of_signal(unsigned number) {
    if (process().id != first_process_id) {
        end_process(static_cast<int>(number));
    }
    Message text;
    text << "shoal: the program was killed by " << signal_name(number) << " (";
    text.decimal(number) << ")\n";
    end_machine(text, number);
}

void die_of_fault(const SignalInfo& info, const Registers& registers) {
    if (process().id != first_process_id) {
        end_process(static_cast<int>(info.number));
    }
    Message text;
    text << "shoal: the program was killed by " << signal_name(info.number) << " (";
    text.decimal(info.number) << ") at address ";
    text.hex(info.address) << ", instruction at ";
    text.hex(registers.rip) << "\n";
    end_machine(text, info.number);
}

}  // namespace shoal::guest
