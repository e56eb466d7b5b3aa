// The processes that there are, and their numbers.
#pragma once

#include "guest/kernel/process.h"

namespace shoal::guest {

// As many as the nub has address spaces for.
inline constexpr unsigned process_limit = NUB_SPACES;

// A number for a process or a thread; not in use.
[[nodiscard]] int take_id();

void add_process(Process& process);
// A child that nobody waits for any more; frees it.
void forget_process(Process& process);

// nullptr when there is none.
[[nodiscard]] Process* find_process(int id);
[[nodiscard]] Thread* find_thread(int id);
[[nodiscard]] Process* first_process();
[[nodiscard]] Process* next_process(const Process& process);
[[nodiscard]] unsigned process_count();

}  // namespace shoal::guest
