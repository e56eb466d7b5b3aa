// clone(2) and its like: threads, and processes that share their memory until execve or get a copy.
#include <linux/sched.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <new>

#include "guest/kernel/process_table.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/kernel/syscalls/calls.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest {
namespace {

// As struct clone_args, without what is refused.
struct Request {
    std::uint64_t flags = 0;
    std::uint64_t exit_signal = 0;
    std::uint64_t stack = 0;  // its top; 0: as the caller's
    std::uint64_t parent_tid = 0;
    std::uint64_t child_tid = 0;
    std::uint64_t tls = 0;

    [[nodiscard]] bool has(std::uint64_t flag) const { return (flags & flag) != 0; }
};

constexpr std::uint64_t thread_flags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
// What is shared with a thread anyhow, or means nothing here.
constexpr std::uint64_t known_flags = thread_flags | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM |
                                      CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |
                                      CLONE_CHILD_SETTID | CLONE_DETACHED | CLONE_VFORK | CLONE_IO |
                                      CLONE_UNTRACED | CLONE_CLEAR_SIGHAND;

bool is_sound(const Request& request) {
    const std::uint64_t sharing = request.flags & thread_flags;
    const bool is_process = sharing == 0 || sharing == CLONE_VM;
    // A process that shares descriptors with another: nobody has needed it yet.
    const bool shares_files = is_process && request.has(CLONE_FILES);
    return (request.flags & ~known_flags) == 0 && (is_process || sharing == thread_flags) &&
           !shares_files && request.exit_signal <= signal_count;
}

// The state of the calling thread, but for what the request says.
void set_up(Thread& child, const Request& request) {
    const Thread& self = current_thread();
    child.registers() = self.registers();
    child.registers().rax = 0;
    if (request.stack != 0) {
        child.registers().rsp = request.stack;
    }
    child.vectors.save();
    child.fs = request.has(CLONE_SETTLS) ? request.tls : fs_base();
    child.gs = gs_base();
    child.name = self.name;
    child.cpus = self.cpus;
    child.signals.blocked = self.signals.mask_before_call.value_or(self.signals.blocked);
    if (!request.has(CLONE_VM) || request.has(CLONE_VFORK)) {
        child.signals.stack = self.signals.stack;
    }
    if (request.has(CLONE_CHILD_CLEARTID)) {
        child.clear_child_tid = request.child_tid;
    }
}

bool store_id(std::uint64_t address, int id) {
    return copy_to_user(address, &id, sizeof id);
}

// In the memory of the child, which may not be the caller's.
void store_child_id(const Thread& child, std::uint64_t address) {
    child.process->memory->select();
    const bool done = child.process->memory->resolve_all(address, sizeof child.id, Access::write);
    if (done) {
        *reinterpret_cast<int*>(address) = child.id;
    }
    process().memory->select();
}

Result<Thread*> start_thread(Process& process, const Request& request) {
    Thread* child = make_thread(process, take_id());
    if (child == nullptr) {
        return fail(Errno::again);
    }
    set_up(*child, request);
    return child;
}

Result<void> give_memory(Process& child, const Process& parent, const Request& request) {
    if (request.has(CLONE_VM)) {
        child.memory = parent.memory;
        return {};
    }
    auto* copy = new (std::nothrow_t{}) ProgramMemory;
    if (copy == nullptr) {
        return fail(Errno::nomem);
    }
    child.memory = Ref{copy};
    copy->patcher = parent.memory->patcher;
    return copy->is_sound() ? parent.memory->copy_to(*copy, current_thread().registers().rsp)
                            : Result<void>{fail(Errno::again)};
}

// A process like its parent, without threads.
Result<Process*> make_child(Process& parent, const Request& request) {
    auto table = std::unique_ptr<FileTable>{new (std::nothrow_t{}) FileTable};
    if (!table || !table->copy(parent.files.table)) {
        return fail(Errno::nomem);
    }
    if (process_count() >= process_limit) {
        return fail(Errno::again);
    }
    const FileContext& files = parent.files;
    auto child = std::unique_ptr<Process>{new (std::nothrow_t{}) Process{
        take_id(), FileContext{files.file_system, *table, files.source, files.working_directory,
                               files.umask}}};
    if (!child) {
        return fail(Errno::nomem);
    }
    child->own_table = std::move(table);
    if (const auto given = give_memory(*child, parent, request); !given) {
        return fail(given.error());
    }
    child->signals.inherit(parent.signals);
    if (request.has(CLONE_CLEAR_SIGHAND)) {
        child->signals.reset_handlers();
    }
    child->executable = parent.executable;
    child->arguments = parent.arguments;
    child->environment = parent.environment;
    child->words = parent.words;
    child->tracing = parent.tracing;
    child->limits = parent.limits;
    child->group = parent.group;
    child->session = parent.session;
    child->exit_signal = static_cast<unsigned>(request.exit_signal);
    child->parent = &parent;
    return child.release();
}

Result<Thread*> start_process(Process& parent, const Request& request) {
    const auto child = make_child(parent, request);
    if (!child) {
        return fail(child.error());
    }
    Thread* thread = make_thread(**child, (*child)->id);
    if (thread == nullptr) {
        delete *child;
        parent.memory->select();
        return fail(Errno::again);
    }
    set_up(*thread, request);
    parent.children.push_back(**child);
    add_process(**child);
    return thread;
}

// Until the child has memory of its own or is gone. Signals wait.
void wait_for_vfork(Process& child, Vfork& vfork) {
    ThreadSignals& signals = current_thread().signals;
    const std::uint64_t blocked = signals.blocked;
    signals.blocked = UINT64_MAX;
    if (wait_until_true(vfork.over, no_deadline, [&] { return vfork.is_over; }) != Wake::woken) {
        child.vfork = nullptr;  // killed meanwhile
    }
    signals.blocked = blocked;
    request_look();
}

std::int64_t clone(Process& process, const Request& request) {
    if (!is_sound(request)) {
        return negative(Errno::inval);
    }
    const auto thread = request.has(CLONE_THREAD) ? start_thread(process, request)
                                                  : start_process(process, request);
    if (!thread) {
        return negative(thread.error());
    }
    Thread& child = **thread;
    const int id = child.id;
    if (request.has(CLONE_PARENT_SETTID)) {
        static_cast<void>(store_id(request.parent_tid, id));
    }
    if (request.has(CLONE_CHILD_SETTID)) {
        store_child_id(child, request.child_tid);
    }
    Vfork vfork;
    Process& of = *child.process;
    if (request.has(CLONE_VFORK)) {
        of.vfork = &vfork;
    }
    start_other_cpus();
    make_runnable(child);
    if (request.has(CLONE_VFORK)) {
        wait_for_vfork(of, vfork);
    }
    return id;
}

}  // namespace

std::int64_t sys_clone(Process& process, const Arguments& args) {
    const auto [flags, stack, parent_tid, child_tid, tls, unused] = args;
    const std::uint64_t low = flags & 0xFFFF'FFFF;
    return clone(process,
                 {low & ~std::uint64_t{CSIGNAL}, low & CSIGNAL, stack, parent_tid, child_tid, tls});
}

std::int64_t sys_clone3(Process& process, const Arguments& args) {
    clone_args given{};
    if (args[1] < CLONE_ARGS_SIZE_VER0 || args[1] > page_size) {
        return negative(args[1] < CLONE_ARGS_SIZE_VER0 ? Errno::inval : Errno::toobig);
    }
    if (!copy_from_user(&given, args[0], std::min<std::size_t>(args[1], sizeof given))) {
        return negative(Errno::fault);
    }
    if (given.set_tid_size != 0 || (given.stack == 0) != (given.stack_size == 0)) {
        return negative(Errno::inval);
    }
    return clone(process, {given.flags, given.exit_signal, given.stack + given.stack_size,
                           given.parent_tid, given.child_tid, given.tls});
}

std::int64_t sys_fork(Process& process, const Arguments&) {
    return clone(process, {.exit_signal = SIGCHLD});
}

std::int64_t sys_vfork(Process& process, const Arguments&) {
    return clone(process, {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD});
}

}  // namespace shoal::guest
