// How many descriptors this process may have, and how many of them a guest may take.
#pragma once

#include <sys/resource.h>

#include "devices/virtio/vsock.h"

namespace shoal::vmm {

// Up to the hard limit: the usual soft limit of 1024 is meant for select(2).
void raise_descriptor_limit() noexcept;

// Each connection takes a descriptor. 128 are left for everything else: disks, interfaces, the
// API's and a migration's connections, the files of a snapshot.
[[nodiscard]] virtio::VsockLimits vsock_limits(rlim_t descriptors) noexcept;
// As many as the process may have now.
[[nodiscard]] virtio::VsockLimits vsock_limits() noexcept;

}  // namespace shoal::vmm
