// What this process asks of the host's scheduler.
#pragma once

namespace shoal::host {

// The calling thread wants to run soon after it wakes up, for a short time, and gets no more of the
// CPU for it: where more threads want to run than there are CPUs, it does not wait for the others'
// slices of some milliseconds. Threads that it creates have the default. On Linux before 6.12,
// and where the operator chose another policy or a negative nice value, nothing changes.
void prefer_short_slices() noexcept;

}  // namespace shoal::host
