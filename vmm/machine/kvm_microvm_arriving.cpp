// A microVM that comes over a wire: built from its configuration first, its state loaded later.
#include <chrono>

#include "vmm/machine/generation.h"
#include "vmm/machine/kvm_microvm.h"

namespace shoal::vmm {
namespace {

// About as QEMU does by itself: five within half a second.
constexpr unsigned announcements = 5;
constexpr std::chrono::milliseconds announcement_gap{100};

}  // namespace

void KvmMicrovm::build(const MicrovmConfig& config, const kvm::CpuModel& cpu) {
    for (const DriveConfig& drive : config.drives) {
        set_drive(drive);
    }
    for (const NetworkInterfaceConfig& interface : config.network_interfaces) {
        set_network_interface(interface);
    }
    if (config.vsock) {
        set_vsock(*config.vsock);
    }
    allocate_memory(config.machine);
    const std::vector<DeviceToAttach> devices = devices_of(config);
    machine_ = std::make_unique<Machine>(take_shell(config.machine), loop_, *memory_,
                                         machine_config(config), devices, Machine::Blank{});
    machine_->start_paused();
    state_ = MicrovmState::paused;
    if (!cpu.empty()) {
        machine_->expect_model(cpu);  // now that the machine can be ended
    }
}

// The configuration in `saved` is that of build().
void KvmMicrovm::load(const SavedMicrovm& saved) {
    machine_->forget_output();  // the source says it, unless the guest arrives
    for (std::size_t idx = 0; idx < saved.config.drives.size(); ++idx) {
        drives_.at(saved.config.drives[idx].drive_id)->restore(saved.drives.at(idx));
    }
    for (std::size_t idx = 0; idx < saved.config.network_interfaces.size(); ++idx) {
        network_interfaces_.at(saved.config.network_interfaces[idx].iface_id)
            .net->restore(saved.network_interfaces.at(idx));
    }
    machine_->restore(saved.machine);
    restore_active_devices(saved);
}

// The guest first: it has waited long enough.
void KvmMicrovm::arrive() {
    machine_->take_output();
    count_arrival(*memory_);
    machine_->signal_generation();
    resume();
    announce(announcements);
}

// One that is lost, by a bridge that has yet to learn or a link that has yet to come up, is made up
// for by the next.
void KvmMicrovm::announce(unsigned times) {
    for (const auto& [id, interface] : network_interfaces_) {
        interface.net->announce();
    }
    if (times > 1) {
        loop_.after(announcement_gap, [this, times] { announce(times - 1); });
    }
}

}  // namespace shoal::vmm
