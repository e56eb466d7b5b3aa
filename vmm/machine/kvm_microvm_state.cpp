// A microVM's state: taken from it, and a microVM made from one.
#include <chrono>
#include <stdexcept>

#include "vmm/machine/kvm_microvm.h"
#include "vmm/machine/page_set.h"

namespace shoal::vmm {

// Devices before transports, because some first put back what they hold of their queues.
SavedMicrovm KvmMicrovm::save(const MicrovmConfig& config) {
    if (machine_->has_ended()) {
        throw std::runtime_error("the guest has ended");
    }
    if (!vhost_user_drives_.empty()) {
        throw std::runtime_error("the drive " + vhost_user_drives_.begin()->first +
                                 " is another process's, whose state cannot be saved");
    }
    SavedMicrovm saved;
    saved.config = config;
    for (const DriveConfig& drive : config.drives) {
        saved.drives.push_back(drives_.at(drive.drive_id)->save());
    }
    for (const NetworkInterfaceConfig& interface : config.network_interfaces) {
        saved.network_interfaces.push_back(network_interfaces_.at(interface.iface_id).net->save());
    }
    if (vsock_) {
        vsock_->reset_connections();
        saved.vsock = vsock_->save();
    }
    if (entropy_) {
        saved.entropy = entropy_->save();
    }
    if (balloon_) {
        saved.balloon = balloon_->save();
    }
    saved.budgets = save_budgets(config);
    saved.machine = machine_->save();
    return saved;
}

RateBudgets KvmMicrovm::save_budgets(const MicrovmConfig& config) {
    RateBudgets budgets;
    for (const DriveConfig& drive : config.drives) {
        budgets.drives.push_back(drives_.at(drive.drive_id)->save_budget());
    }
    for (const NetworkInterfaceConfig& interface : config.network_interfaces) {
        budgets.network_interfaces.push_back(
            network_interfaces_.at(interface.iface_id).net->save_budgets());
    }
    if (entropy_) {
        budgets.entropy = entropy_->save_budget();
    }
    return budgets;
}

// All devices have their limits.
void KvmMicrovm::restore_budgets(const SavedMicrovm& saved) {
    if (!saved.budgets) {
        return;
    }
    const MicrovmConfig& config = saved.config;
    for (std::size_t idx = 0; idx < config.drives.size(); ++idx) {
        drives_.at(config.drives[idx].drive_id)->restore_budget(saved.budgets->drives.at(idx));
    }
    for (std::size_t idx = 0; idx < config.network_interfaces.size(); ++idx) {
        network_interfaces_.at(config.network_interfaces[idx].iface_id)
            .net->restore_budgets(saved.budgets->network_interfaces.at(idx));
    }
    if (entropy_ && saved.budgets->entropy) {
        entropy_->restore_budget(*saved.budgets->entropy);
    }
}

// Their states go in before they are active.
void KvmMicrovm::open_backends(const SavedMicrovm& saved) {
    const MicrovmConfig& config = saved.config;
    for (std::size_t idx = 0; idx < config.drives.size(); ++idx) {
        set_drive(config.drives[idx]);
        drives_.at(config.drives[idx].drive_id)->restore(saved.drives.at(idx));
    }
    for (std::size_t idx = 0; idx < config.network_interfaces.size(); ++idx) {
        set_network_interface(config.network_interfaces[idx]);
        network_interfaces_.at(config.network_interfaces[idx].iface_id)
            .net->restore(saved.network_interfaces.at(idx));
    }
    if (config.vsock) {
        set_vsock(*config.vsock);
    }
}

// These look at their queues.
void KvmMicrovm::restore_active_devices(const SavedMicrovm& saved) {
    if (vsock_) {
        vsock_->restore(*saved.vsock);
    }
    if (entropy_ && !entropy_->restore(*saved.entropy)) {
        throw std::runtime_error("the saved state of the entropy device does not fit its queue");
    }
    if (balloon_) {
        balloon_->restore(*saved.balloon);
    }
    restore_budgets(saved);
}

void KvmMicrovm::fill_memory(MemorySource source) {
    if (source.file) {
        memory_->become_copy(std::move(source.file));
        if (!source.ahead.empty()) {
            file_ahead_.emplace(memory_->content_fd(), source.ahead);
        }
        return;
    }
    memory_->become_filled_by_others();
    if (source.pages) {
        page_filler_.emplace(*memory_, std::move(source.pages), std::move(source.ahead));
    } else {
        fault_handler_.emplace(*memory_, source.handler_path);
    }
}

void KvmMicrovm::restore(const SavedMicrovm& saved, MemorySource memory) {
    open_backends(saved);
    allocate_memory(saved.config.machine.mem_size_mib);
    fill_memory(std::move(memory));
    const std::vector<DeviceToAttach> devices = devices_of(saved.config);
    machine_ = std::make_unique<Machine>(take_shell(saved.config.machine), loop_, *memory_,
                                         machine_config(saved.config), devices, saved.machine);
    restore_active_devices(saved);
    machine_->start_paused();
    state_ = MicrovmState::paused;
}

void KvmMicrovm::renew_generation(const std::optional<CloneWords>& clone) {
    vmm::renew_generation(*memory_, clone);
    machine_->signal_generation();
}

std::vector<std::uint32_t> KvmMicrovm::wanted_pages() const {
    if (page_filler_) {
        return page_filler_->wanted();
    }
    std::vector<std::uint32_t> wanted;
    if (memory_->backing() == machine::Backing::copy_of_file) {
        const PageSet pages = mapped_pages(*memory_);
        for (auto range = next_range(pages, 0); range; range = next_range(pages, range->end)) {
            for (std::uint64_t page = range->first; page < range->end; ++page) {
                wanted.push_back(static_cast<std::uint32_t>(page));
            }
        }
    }
    return wanted;
}

// Whoever answers the API writes the answer before the loop gets to this.
void KvmMicrovm::give_up() {
    loop_.after(std::chrono::nanoseconds{0}, [this] {
        end({static_cast<int>(ExitCode::failure), {}});
    });
}

}  // namespace shoal::vmm
