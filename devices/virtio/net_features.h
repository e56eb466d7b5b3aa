// Which features of a network device belong to which offloads of a TAP.
#pragma once

#include <cstdint>

#include "devices/backend/tap.h"

namespace shoal::virtio {

// What a device on a TAP that supports these offloads can do for a driver.
[[nodiscard]] std::uint64_t net_features(backend::Tap::Offloads supported) noexcept;

// What the driver can do for itself, in a combination that the kernel takes: no segmentation
// without checksums, and so on. A driver must not negotiate others (5.1.3.1).
[[nodiscard]] backend::Tap::Offloads net_offloads(std::uint64_t negotiated) noexcept;

}  // namespace shoal::virtio
