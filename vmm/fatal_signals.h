// Signals that are the end of this process: a bug of ours, or a limit of the host's.
#pragma once

namespace shoal::vmm {

// From here on each of them ends the process with one sentence on stderr and an exit code of its
// own, Firecracker's. Those that somebody else handles already, such as a sanitizer, are left to
// him.
void handle_fatal_signals() noexcept;

}  // namespace shoal::vmm
