// A machine's state: taken from it, and put into one that was just built.
#include "vmm/machine/machine_state.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "devices/abi/address_map.h"
#include "devices/host/clock.h"
#include "vmm/machine/machine.h"

namespace shoal::vmm {
namespace {

// By the hosts' wall clocks. Time does not go back where they differ or were set.
std::uint64_t ns_since(const kvm::ClockState& clock) {
    const std::uint64_t now_ns = host::realtime_ns();
    return clock.realtime_ns == 0 ? 0 : now_ns - std::min(now_ns, clock.realtime_ns);
}

}  // namespace

Machine::Machine(VmShell shell, EventLoop& loop, const machine::GuestMemory& memory,
                 const MachineConfig& config, std::span<const DeviceToAttach> devices,
                 const MachineState& state)
    : Machine{std::move(shell), loop, memory, config, devices, Blank{}} {
    restore(state);
}

Machine::Machine(VmShell shell, EventLoop& loop, const machine::GuestMemory& memory,
                 const MachineConfig& config, std::span<const DeviceToAttach> devices, Blank)
    : Machine{shell, loop, memory, config, devices, Unfinished{}} {
    std::uint32_t idx = 0;
    for (kvm::Vcpu& vcpu : shell.vcpus) {
        add_vcpu(idx++, std::move(vcpu));
    }
}

void Machine::restore(const MachineState& state) {
    if (state.vcpus.size() != vcpus_.size()) {
        throw std::invalid_argument("the saved state has " + std::to_string(state.vcpus.size()) +
                                    " vCPUs, its configuration has " +
                                    std::to_string(vcpus_.size()));
    }
    // At the last moment: making the machine took time, too.
    const std::uint64_t missed_ns = ns_since(state.clock);
    vm_.set_clock(state.clock.guest_ns + missed_ns);
    for (std::size_t idx = 0; idx < vcpus_.size(); ++idx) {
        kvm::VcpuState vcpu = state.vcpus[idx];
        kvm::advance_tsc(vcpu, missed_ns);
        vcpus_[idx]->restore(std::move(vcpu));
    }
    // Devices may interrupt as soon as they are restored: rather once too often than never.
    ioapic_.restore(state.ioapic);
    serial_.restore(state.serial);
    if (state.serial_budget) {
        serial_.restore_budget(*state.serial_budget);
    }
    i8042_.restore(state.i8042);
    virtio_.restore(state.transports);
}

// KVM does not answer for a vCPU that runs.
kvm::CpuModel Machine::cpu_model() {
    kvm::CpuModel model;
    while_paused([&] { model = vcpus_.front()->cpu_model(); });
    return model;
}

MachineState Machine::save() const {
    MachineState state;
    state.clock = vm_.clock();
    for (const auto& vcpu : vcpus_) {
        state.vcpus.push_back(vcpu->save());
    }
    state.ioapic = ioapic_.save();
    state.serial = serial_.save();
    state.serial_budget = serial_.save_budget();
    state.i8042 = i8042_.save();
    state.transports = virtio_.save();
    return state;
}

}  // namespace shoal::vmm
