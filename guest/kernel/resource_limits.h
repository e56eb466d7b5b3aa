// ResourceLimits: what getrlimit(2) tells and setrlimit(2) changes.
//
// Only the limits that the kernel itself keeps to start below infinity. Others are kept and told,
// as programs expect, but limit nothing: a microVM's memory is its limit.
#pragma once

#include <sys/resource.h>

#include <array>
#include <cstdint>

#include "guest/kernel/errno.h"

namespace shoal::guest {

class ResourceLimits {
public:
    ResourceLimits() noexcept;

    // Errno::inval for a resource that Linux does not know.
    [[nodiscard]] Result<rlimit64> get(std::uint64_t resource) const noexcept;
    // Errno::inval too when the soft limit is above the hard one, Errno::perm when more files are
    // asked for than the file table holds.
    [[nodiscard]] Result<void> set(std::uint64_t resource, const rlimit64& limit) noexcept;

private:
    std::array<rlimit64, RLIM_NLIMITS> limits_;
};

}  // namespace shoal::guest
