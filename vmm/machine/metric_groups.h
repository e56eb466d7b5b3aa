// MetricGroups: where a microVM tells the counters of its devices.
#pragma once

#include <string_view>

#include "devices/host/metrics.h"

namespace shoal::vmm {

class MetricGroups {
public:
    virtual ~MetricGroups() = default;
    // The counters of one device. `kind` is Firecracker's word for its metrics: "block", "net",
    // "vsock", "balloon", "entropy", "uart", "i8042", "vcpu", "vmm"; `id` names one of several
    // devices of a kind ("rootfs") and is empty otherwise. The sink is valid until the next call.
    [[nodiscard]] virtual host::MetricSink& group(std::string_view kind, std::string_view id) = 0;
};

}  // namespace shoal::vmm
