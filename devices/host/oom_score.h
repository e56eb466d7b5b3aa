// Whom the kernel kills first when memory runs out (proc_pid_oom_score_adj(5)): thousandths of all
// memory, that of a control group at its limit, are added to what a process takes.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <string_view>

namespace shoal::host {

enum class OomOrder {
    last,   // as the kubelet: but for those whom it may not take at all
    first,  // a tenth more than it takes: before whoever runs it, not before a leak elsewhere
};

// Of this process and of those that it starts. False: not allowed (a lower one takes
// CAP_SYS_RESOURCE). Async-signal-safe.
inline bool set_oom_order(OomOrder order) noexcept {
    const std::string_view score = order == OomOrder::last ? "-999" : "100";
    const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    const bool is_set =
        ::write(file, score.data(), score.size()) == static_cast<ssize_t>(score.size());
    ::close(file);
    return is_set;
}

}  // namespace shoal::host
