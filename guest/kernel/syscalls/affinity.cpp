// sched_setaffinity and sched_getaffinity. With one CPU there is nothing to choose. With several
// the mask is kept, told back and inherited, but a thread runs wherever it is its turn.
#include <algorithm>

#include "guest/kernel/process_table.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/kernel/sched/thread.h"
#include "guest/kernel/syscalls/calls.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest {
namespace {

Thread* thread_of(std::uint64_t id) {
    const auto number = static_cast<int>(static_cast<std::uint32_t>(id));
    return number == 0 ? &current_thread() : find_thread(number);
}

std::uint64_t all_cpus() {
    return (1ULL << cpu_count()) - 1;
}

}  // namespace

std::int64_t sys_sched_setaffinity(Process&, const Arguments& args) {
    Thread* thread = thread_of(args[0]);
    std::uint64_t mask = 0;  // a shorter one goes on with zeros
    if (!copy_from_user(&mask, args[2], std::min<std::uint64_t>(args[1], sizeof mask))) {
        return negative(Errno::fault);
    }
    if (thread == nullptr) {
        return negative(Errno::srch);
    }
    if ((mask & all_cpus()) == 0) {
        return negative(Errno::inval);
    }
    thread->cpus = mask;
    return 0;
}

std::int64_t sys_sched_getaffinity(Process&, const Arguments& args) {
    const Thread* thread = thread_of(args[0]);
    if (thread == nullptr) {
        return negative(Errno::srch);
    }
    const std::uint64_t mask = thread->cpus & all_cpus();
    if (args[1] < sizeof mask || args[1] % sizeof mask != 0) {
        return negative(Errno::inval);
    }
    return copy_to_user(args[2], &mask, sizeof mask) ? static_cast<std::int64_t>(sizeof mask)
                                                     : negative(Errno::fault);
}

}  // namespace shoal::guest
