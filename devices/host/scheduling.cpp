// sched_setattr(2), for which glibc 2.36 has no function.
#include "devices/host/scheduling.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace shoal::host {
namespace {

// Linux's struct sched_attr, as of its first version.
struct SchedulingAttributes {
    std::uint32_t size_bytes = sizeof(SchedulingAttributes);
    std::uint32_t policy = 0;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime_ns = 0;  // for the normal policy: the slice
    std::uint64_t deadline_ns = 0;
    std::uint64_t period_ns = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48);

// The least that Linux takes.
constexpr std::uint64_t short_slice_ns = 100'000;
constexpr std::uint64_t reset_on_fork = 1;

}  // namespace

void prefer_short_slices() noexcept {
    SchedulingAttributes attributes;
    if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0 ||
        attributes.policy != SCHED_OTHER || attributes.nice < 0) {
        return;  // a negative nice value would not outlive the reset at a fork
    }
    attributes.flags = reset_on_fork;
    attributes.runtime_ns = short_slice_ns;
    ::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace shoal::host
