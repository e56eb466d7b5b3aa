// MachineState and SavedMicrovm: what a paused microVM is besides its memory. Pure data; how it
// becomes a file is vmm/state's business.
#pragma once

#include <optional>
#include <vector>

#include "devices/legacy/i8042.h"
#include "devices/legacy/ioapic.h"
#include "devices/legacy/serial.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/block.h"
#include "devices/virtio/entropy.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/net.h"
#include "devices/virtio/vsock.h"
#include "vmm/kvm/vcpu_state.h"
#include "vmm/machine/config.h"

namespace shoal::vmm {

struct MachineState {
    // Restored, the guest's time goes on as if it had run since `realtime_ns`; with 0, where it
    // was.
    kvm::ClockState clock;
    std::vector<kvm::VcpuState> vcpus;
    legacy::IoApicState ioapic;
    legacy::SerialState serial;
    legacy::I8042State i8042;
    std::vector<virtio::MmioTransportState> transports;  // by slot
    std::optional<backend::TokenBucketState> serial_budget;
};

// What the devices' rate limiters have left.
struct RateBudgets {
    std::vector<backend::RateLimiterState> drives;
    std::vector<virtio::NetBudgets> network_interfaces;
    std::optional<backend::RateLimiterState> entropy;
};

// Devices in the order of the configuration.
struct SavedMicrovm {
    MicrovmConfig config;
    MachineState machine;
    std::vector<virtio::BlockState> drives;
    std::vector<virtio::NetState> network_interfaces;
    std::optional<virtio::VsockState> vsock;
    std::optional<virtio::EntropyState> entropy;
    std::optional<virtio::BalloonState> balloon;
    std::optional<RateBudgets> budgets;  // absent of old: all buckets are full
};

}  // namespace shoal::vmm
