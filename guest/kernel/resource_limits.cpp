// The limits a program starts with, and the rules for changing them.
#include "guest/kernel/resource_limits.h"

#include "guest/kernel/fs/file_table.h"

namespace shoal::guest {
namespace {

constexpr rlimit64 unlimited{RLIM64_INFINITY, RLIM64_INFINITY};

}  // namespace

ResourceLimits::ResourceLimits() noexcept {
    limits_.fill(unlimited);
    limits_[RLIMIT_STACK] = {8ULL << 20, RLIM64_INFINITY};
    limits_[RLIMIT_NOFILE] = {FileTable::usual_limit, FileTable::limit};
    limits_[RLIMIT_CORE] = {0, RLIM64_INFINITY};
}

Result<rlimit64> ResourceLimits::get(std::uint64_t resource) const noexcept {
    return resource < limits_.size() ? Result<rlimit64>{limits_[resource]} : fail(Errno::inval);
}

Result<void> ResourceLimits::set(std::uint64_t resource, const rlimit64& limit) noexcept {
    if (resource >= limits_.size() || limit.rlim_cur > limit.rlim_max) {
        return fail(Errno::inval);
    }
    if (resource == RLIMIT_NOFILE && limit.rlim_max > FileTable::limit) {
        return fail(Errno::perm);
    }
    limits_[resource] = limit;
    return {};
}

}  // namespace shoal::guest
