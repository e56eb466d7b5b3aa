// RLIMIT_NOFILE.
#include "vmm/machine/descriptor_limit.h"

#include <algorithm>
#include <string>

#include "devices/host/log.h"

namespace shoal::vmm {
namespace {

constexpr rlim_t others = 128;

}  // namespace

void raise_descriptor_limit() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
    }
}

virtio::VsockLimits vsock_limits(rlim_t descriptors) noexcept {
    virtio::VsockLimits limits;
    const rlim_t left = descriptors - std::min(descriptors, others);
    limits.max_connections = std::min<rlim_t>(limits.max_connections, left);
    return limits;
}

virtio::VsockLimits vsock_limits() noexcept {
    rlimit limit{};
    const virtio::VsockLimits all;
    if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return all;
    }
    const virtio::VsockLimits limits = vsock_limits(limit.rlim_cur);
    if (limits.max_connections < all.max_connections) {
        host::log(host::LogLevel::warn,
                  "vsock: at most " + std::to_string(limits.max_connections) +
                      " connections, since the process may have no more than " +
                      std::to_string(limit.rlim_cur) + " descriptors");
    }
    return limits;
}

}  // namespace shoal::vmm
