// Endpoints of Firecracker that are still to come. They say so, in the shape of a fault.
#pragma once

#include "vmm/api/action.h"

namespace shoal::api {

[[nodiscard]] ParsedRequest parse_other_snapshot(const Call& call);
[[nodiscard]] ParsedRequest parse_cpu_config(const Call& call);
[[nodiscard]] ParsedRequest parse_memory_hotplug(const Call& call);
[[nodiscard]] ParsedRequest parse_pmem(const Call& call);
[[nodiscard]] ParsedRequest parse_mmds(const Call& call);
[[nodiscard]] ParsedRequest parse_remove_device(const Call& call);

}  // namespace shoal::api
