// futex(2).
#include "guest/kernel/syscalls/futex.h"

#include <linux/futex.h>
#include <time.h>

#include "guest/kernel/clock.h"
#include "guest/kernel/sched/futex_table.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/kernel/syscalls/calls.h"
#include "guest/kernel/thread_signals.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest {
namespace {

constexpr unsigned robust_list_limit = 2048;  // ROBUST_LIST_LIMIT

constinit FutexTable table{};

std::uint64_t command_of(std::uint64_t operation) {
    return operation & static_cast<std::uint64_t>(FUTEX_CMD_MASK);
}

FutexKey key_of(const Process& process, std::uint64_t address) {
    return {process.memory.get(), address};
}

std::int64_t load(std::uint64_t address, std::uint32_t& value) {
    if (address % sizeof value != 0) {
        return negative(Errno::inval);
    }
    return copy_from_user(&value, address, sizeof value) ? 0 : negative(Errno::fault);
}

// Of a word that may be written, and that other CPUs may change. False: it was another one, which
// `old` is now.
bool replace(std::uint64_t address, std::uint32_t& old, std::uint32_t value) {
    return __atomic_compare_exchange_n(reinterpret_cast<std::uint32_t*>(address), &old, value,
                                       false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

// When a wait ends: FUTEX_WAIT takes a duration, the others a point in time.
Result<std::uint64_t> deadline_of(std::uint64_t timeout, std::uint64_t operation) {
    if (timeout == 0) {
        return no_deadline;
    }
    timespec time{};
    if (!copy_from_user(&time, timeout, sizeof time)) {
        return fail(Errno::fault);
    }
    if (time.tv_sec < 0 || time.tv_nsec < 0 ||
        time.tv_nsec >= static_cast<long>(nanoseconds_per_second)) {
        return fail(Errno::inval);
    }
    const std::uint64_t now = monotonic_ns();
    const auto seconds = static_cast<std::uint64_t>(time.tv_sec);
    if (seconds >= no_deadline / nanoseconds_per_second / 4) {
        return no_deadline;
    }
    const std::uint64_t ns =
        seconds * nanoseconds_per_second + static_cast<std::uint64_t>(time.tv_nsec);
    if (command_of(operation) == FUTEX_WAIT) {
        return now + ns;
    }
    if ((operation & FUTEX_CLOCK_REALTIME) == 0) {
        return ns;
    }
    const std::uint64_t offset = realtime_ns() - now;
    return ns > offset ? ns - offset : 0;
}

std::int64_t wait(Process& process, const Arguments& args, std::uint32_t bits) {
    const auto [address, operation, value, timeout, unused1, unused2] = args;
    std::uint32_t now = 0;
    if (const std::int64_t failed = load(address, now); failed != 0) {
        return failed;
    }
    const auto deadline = deadline_of(timeout, operation);
    if (bits == 0 || !deadline) {
        return negative(bits == 0 ? Errno::inval : deadline.error());
    }
    if (now != static_cast<std::uint32_t>(value)) {
        return negative(Errno::again);
    }
    FutexWaiter waiter{key_of(process, address), bits};
    table.add(waiter);
    const Wake wake = waiter.waiter.wait(*deadline);
    table.remove(waiter);
    switch (wake) {
        case Wake::woken:
            return 0;
        case Wake::timed_out:
            return negative(Errno::timedout);
        case Wake::interrupted:
            if (*deadline != no_deadline) {
                call_is_not_restarted();
            }
            return negative(Errno::intr);
    }
    return 0;
}

std::int64_t requeue(Process& process, const Arguments& args) {
    const auto [address, operation, wakes, moves, to, expected] = args;
    std::uint32_t now = 0;
    if (const std::int64_t failed = load(address, now); failed != 0) {
        return failed;
    }
    const bool compares = command_of(operation) == FUTEX_CMP_REQUEUE;
    if (compares && now != static_cast<std::uint32_t>(expected)) {
        return negative(Errno::again);
    }
    const FutexKey key = key_of(process, address);
    const unsigned woken = table.wake(key, static_cast<unsigned>(wakes));
    const unsigned moved = table.requeue(key, key_of(process, to), static_cast<unsigned>(moves));
    return woken + (compares ? moved : 0);
}

// FUTEX_WAKE_OP's operation and comparison, encoded as in futex(2).
struct WakeOperation {
    explicit WakeOperation(std::uint32_t encoded)
        : operation{encoded >> 28 & 7},
          comparison{encoded >> 24 & 15},
          operand{sign_extended(encoded >> 12)},
          compared{sign_extended(encoded)} {
        if ((encoded >> 28 & FUTEX_OP_OPARG_SHIFT) != 0) {
            operand = 1U << (operand & 31);
        }
    }

    [[nodiscard]] std::optional<std::uint32_t> apply(std::uint32_t old) const {
        switch (operation) {
            case FUTEX_OP_SET:
                return operand;
            case FUTEX_OP_ADD:
                return old + operand;
            case FUTEX_OP_OR:
                return old | operand;
            case FUTEX_OP_ANDN:
                return old & ~operand;
            case FUTEX_OP_XOR:
                return old ^ operand;
        }
        return std::nullopt;
    }

    [[nodiscard]] bool holds(std::uint32_t old) const {
        const auto a = static_cast<std::int32_t>(old);
        const auto b = static_cast<std::int32_t>(compared);
        switch (comparison) {
            case FUTEX_OP_CMP_EQ:
                return a == b;
            case FUTEX_OP_CMP_NE:
                return a != b;
            case FUTEX_OP_CMP_LT:
                return a < b;
            case FUTEX_OP_CMP_LE:
                return a <= b;
            case FUTEX_OP_CMP_GT:
                return a > b;
            case FUTEX_OP_CMP_GE:
                return a >= b;
        }
        return false;
    }

    // Of 12 bits.
    static std::uint32_t sign_extended(std::uint32_t bits) {
        return static_cast<std::uint32_t>(static_cast<std::int32_t>(bits << 20) >> 20);
    }

    std::uint32_t operation;
    std::uint32_t comparison;
    std::uint32_t operand;
    std::uint32_t compared;
};

std::int64_t wake_operation(Process& process, const Arguments& args) {
    const auto [address, unused, wakes, other_wakes, other, encoded] = args;
    const WakeOperation operation{static_cast<std::uint32_t>(encoded)};
    std::uint32_t old = 0;
    if (const std::int64_t failed = load(other, old); failed != 0) {
        return failed;
    }
    if (!process.memory->resolve_all(other, sizeof old, Access::write)) {
        return negative(Errno::fault);
    }
    for (bool is_done = false; !is_done;) {
        const auto changed = operation.apply(old);
        if (!changed) {
            return negative(Errno::nosys);
        }
        is_done = replace(other, old, *changed);
    }
    unsigned count = table.wake(key_of(process, address), static_cast<unsigned>(wakes));
    if (operation.holds(old)) {
        count += table.wake(key_of(process, other), static_cast<unsigned>(other_wakes));
    }
    return count;
}

// The lock's owner ends with it: the next one is told.
void release_lock(const Thread& thread, std::uint64_t address) {
    std::uint32_t value = 0;
    if (load(address, value) != 0 ||
        (value & FUTEX_TID_MASK) != static_cast<std::uint32_t>(thread.id)) {
        return;
    }
    if (!thread.process->memory->resolve_all(address, sizeof value, Access::write)) {
        return;
    }
    while (!replace(address, value, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED)) {
    }
    if ((value & FUTEX_WAITERS) != 0) {
        table.wake(key_of(*thread.process, address), 1);
    }
}

void release_robust_list(const Thread& thread) {
    robust_list_head head{};
    if (thread.robust_list == 0 || !copy_from_user(&head, thread.robust_list, sizeof head)) {
        return;
    }
    const auto lock_of = [&](std::uint64_t entry) {
        return (entry & ~1ULL) + static_cast<std::uint64_t>(head.futex_offset);
    };
    const auto pending = reinterpret_cast<std::uint64_t>(head.list_op_pending);
    auto entry = reinterpret_cast<std::uint64_t>(head.list.next);
    for (unsigned i = 0; i < robust_list_limit && (entry & ~1ULL) != thread.robust_list; ++i) {
        std::uint64_t next = 0;
        if (!copy_from_user(&next, entry & ~1ULL, sizeof next)) {
            return;
        }
        if (entry != pending) {
            release_lock(thread, lock_of(entry));
        }
        entry = next;
    }
    if (pending != 0) {
        release_lock(thread, lock_of(pending));
    }
}

}  // namespace

void release_futexes(Thread& thread) {
    release_robust_list(thread);
    thread.robust_list = 0;
    if (thread.clear_child_tid != 0) {
        const std::uint32_t zero = 0;
        if (copy_to_user(thread.clear_child_tid, &zero, sizeof zero)) {
            table.wake(key_of(*thread.process, thread.clear_child_tid), 1);
        }
        thread.clear_child_tid = 0;
    }
}

std::int64_t sys_futex(Process& process, const Arguments& args) {
    const auto [address, operation, value, unused1, unused2, bits] = args;
    switch (command_of(operation)) {
        case FUTEX_WAIT:
            return wait(process, args, FUTEX_BITSET_MATCH_ANY);
        case FUTEX_WAIT_BITSET:
            return wait(process, args, static_cast<std::uint32_t>(bits));
        case FUTEX_WAKE:
            return table.wake(key_of(process, address), static_cast<unsigned>(value));
        case FUTEX_WAKE_BITSET:
            return bits == 0 ? negative(Errno::inval)
                             : table.wake(key_of(process, address), static_cast<unsigned>(value),
                                          static_cast<std::uint32_t>(bits));
        case FUTEX_REQUEUE:
        case FUTEX_CMP_REQUEUE:
            return requeue(process, args);
        case FUTEX_WAKE_OP:
            return wake_operation(process, args);
    }
    return negative(Errno::nosys);
}

std::int64_t sys_set_robust_list(Process&, const Arguments& args) {
    if (args[1] != sizeof(robust_list_head)) {
        return negative(Errno::inval);
    }
    current_thread().robust_list = args[0];
    return 0;
}

std::int64_t sys_get_robust_list(Process&, const Arguments& args) {
    if (args[0] != 0 && static_cast<int>(args[0]) != current_thread().id) {
        return negative(Errno::perm);
    }
    const std::uint64_t size = sizeof(robust_list_head);
    return copy_to_user(args[1], &current_thread().robust_list, sizeof size) &&
                   copy_to_user(args[2], &size, sizeof size)
               ? 0
               : negative(Errno::fault);
}

}  // namespace shoal::guest
