// From configuration to devices.
#include "vmm/machine/kvm_microvm.h"

#include <csignal>
#include <limits>
#include <stdexcept>
#include <utility>

#include "devices/backend/output_file.h"
#include "devices/backend/tap.h"
#include "devices/host/log.h"
#include "devices/host/nonblocking_file.h"
#include "vmm/boot/command_line.h"
#include "vmm/machine/boot_time.h"
#include "vmm/machine/descriptor_limit.h"
#include "vmm/machine/device_configs.h"
#include "vmm/machine/required_file.h"

namespace shoal::vmm {
std::unique_ptr<Microvm> make_microvm(const MicrovmSurroundings& surroundings) {
    return std::make_unique<KvmMicrovm>(surroundings);
}

KvmMicrovm::KvmMicrovm(const MicrovmSurroundings& surroundings)
    : loop_{surroundings.loop},
      boot_timer_{surroundings.boot_timer},
      ready_fd_{surroundings.ready_fd},
      fence_{surroundings.fence},
      on_vcpu_thread_{surroundings.on_vcpu_thread} {
    loop_.on_signals({SIGTERM, SIGINT, SIGHUP},
                     [this](int number) { end(ending_by_signal(number)); });
    if (surroundings.warm) {
        allocate_memory(surroundings.warm->mem_size_mib);
        warm_shell_.emplace(kvm_, *memory_, kvm::CpuTopology{surroundings.warm->vcpu_count});
    }
}

KvmMicrovm::~KvmMicrovm() = default;

void KvmMicrovm::end(Ending ending) noexcept {
    if (machine_) {
        machine_->end(std::move(ending));
        return;
    }
    early_end_ = std::move(ending);
    loop_.stop();
}

// A guest of Firecracker's that asks for a reset has ended well: there is no other way to.
Ending KvmMicrovm::finish() {
    Ending ending = early_end_.value_or(Ending{});
    if (machine_) {
        ending = machine_->finish();
    }
    return ending.code == static_cast<int>(ExitCode::reset) ? Ending{} : ending;
}

void KvmMicrovm::set_boot_source(const BootSourceConfig& config) {
    require_file(config.kernel_image_path, "The kernel file cannot be opened: ");
    boot::ImageFile kernel{"kernel", config.kernel_image_path};
    std::optional<boot::ImageFile> initrd;
    if (config.initrd_path) {
        require_file(*config.initrd_path,
                     "The initrd file cannot be opened due to invalid path or invalid "
                     "permissions. ");
        initrd.emplace("initrd", *config.initrd_path);
    }
    kernel_ = std::move(kernel);
    initrd_ = std::move(initrd);
}

void KvmMicrovm::set_drive(const DriveConfig& config) {
    if (config.socket) {
        drives_.erase(config.drive_id);
        return;  // start() connects: the other side wants the guest's memory
    }
    require_file(*config.path_on_host, backing_file_refusal);
    drives_[config.drive_id] =
        std::make_unique<virtio::Block>(block_config(config), loop_.reactor());
}

void KvmMicrovm::set_network_interface(const NetworkInterfaceConfig& config) {
    const auto before = network_interfaces_.find(config.iface_id);
    try {
        // A TAP is opened once: what has it goes only when all went well.
        std::optional<backend::Tap> tap;
        if (before != network_interfaces_.end() &&
            before->second.host_dev_name == config.host_dev_name) {
            tap = before->second.net->tap().try_share();
        }
        if (!tap) {
            tap = backend::Tap::open(config.host_dev_name);
        }
        auto net =
            std::make_unique<virtio::Net>(net_config(config), std::move(*tap), loop_.reactor());
        network_interfaces_[config.iface_id] = {config.host_dev_name, std::move(net)};
    } catch (const std::exception& error) {
        throw std::runtime_error("Could not create the network device: Open tap device failed: " +
                                 std::string{error.what()});
    }
}

void KvmMicrovm::set_vsock(const VsockConfig& config) {
    // A path is listened at once; what was there must not be lost.
    if (vsock_ && config.uds_path == vsock_path_ && vsock_->is_at_its_path()) {
        vsock_->set_guest_cid(config.guest_cid);
        return;
    }
    vsock_ = std::make_unique<virtio::Vsock>(virtio::VsockConfig{config.guest_cid, config.uds_path},
                                             loop_.reactor(), vsock_limits());
    vsock_path_ = config.uds_path;
}

void KvmMicrovm::set_serial(const SerialConfig& config) {
    host::UniqueFd output;
    if (config.serial_out_path) {
        output = backend::open_output_file(*config.serial_out_path);
    }
    serial_output_ = std::move(output);
    serial_ = config;
}

MachineConfig KvmMicrovm::machine_config(const MicrovmConfig& config) const {
    MachineConfig result;
    result.vcpu_count = config.machine.vcpu_count;
    result.console = Console::serial;
    result.fence = fence_;
    result.on_vcpu_thread = on_vcpu_thread_;
    if (serial_output_) {
        result.serial_output_fd = serial_output_.get();
    }
    result.serial_rate_limit = serial_.rate_limiter.value_or(backend::TokenBucketConfig{});
    if (boot_timer_ == BootTimerLog::on) {
        result.on_boot_timer = [started = ProcessTimes::now()] {
            host::log(host::LogLevel::info, boot_time_line(started, ProcessTimes::now()));
        };
    }
    if (ready_fd_ >= 0) {
        // Not waited for: who listens has one unread already when there is no room.
        result.on_ready = [fd = ready_fd_] { static_cast<void>(host::try_write_line(fd, "\1")); };
    }
    if (kernel_) {
        result.boot = {&*kernel_, initrd_ ? &*initrd_ : nullptr,
                       boot::linux_arguments(config.boot_source->boot_args, root_device(config))};
    }
    return result;
}

virtio::Device& KvmMicrovm::drive_of(const DriveConfig& config) {
    if (!config.socket) {
        return *drives_.at(config.drive_id);
    }
    const auto cache = config.cache_type == CacheType::writeback ? virtio::CacheType::writeback
                                                                 : virtio::CacheType::unsafe;
    auto& drive = vhost_user_drives_[config.drive_id];
    drive = std::make_unique<virtio::VhostUserBlock>(
        virtio::VhostUserBlockConfig{*config.socket, cache}, *memory_, loop_.reactor());
    return *drive;
}

// In the order in which Firecracker's guests find them.
std::vector<DeviceToAttach> KvmMicrovm::devices_of(const MicrovmConfig& config) {
    std::vector<DeviceToAttach> devices;
    if (config.balloon) {
        balloon_ = std::make_unique<virtio::Balloon>(*memory_, loop_.reactor(),
                                                     balloon_config(*config.balloon));
        devices.push_back({balloon_.get()});
    }
    for (const DriveConfig& drive : config.drives) {
        devices.push_back({&drive_of(drive)});
    }
    for (const NetworkInterfaceConfig& interface : config.network_interfaces) {
        devices.push_back({network_interfaces_.at(interface.iface_id).net.get()});
    }
    if (vsock_) {
        devices.push_back({vsock_.get()});
    }
    if (config.entropy) {
        entropy_ = std::make_unique<virtio::Entropy>(
            loop_.reactor(), config.entropy->rate_limiter.value_or(backend::RateLimiterConfig{}));
        devices.push_back({entropy_.get()});
    }
    return devices;
}

// A shell that waits keeps its memory's place.
void KvmMicrovm::allocate_memory(std::uint64_t size_mib) {
    if (warm_shell_ && memory_->backing() == machine::Backing::memfd &&
        memory_->size_bytes() >> 20 == size_mib) {
        return;
    }
    warm_shell_.reset();
    try {
        if (size_mib > std::numeric_limits<std::uint64_t>::max() >> 20) {
            throw std::overflow_error("no host has so much");
        }
        memory_.emplace(size_mib << 20);
    } catch (const std::exception& error) {
        throw std::runtime_error("Invalid Memory Configuration: " + std::to_string(size_mib) +
                                 " MiB: " + error.what());
    }
}

void KvmMicrovm::allocate_memory(const MachineShape& shape) {
    allocate_memory(shape.mem_size_mib);
    if (shape.huge_pages == HugePages::transparent) {
        memory_->become_huge_pages();
    }
}

VmShell KvmMicrovm::take_shell(const MachineShape& shape) {
    std::optional<VmShell> shell = std::exchange(warm_shell_, std::nullopt);
    const std::uint32_t threads_per_core = shape.smt && shape.vcpu_count > 1 ? 2 : 1;
    if (shell && shell->vcpus.size() == shape.vcpu_count && threads_per_core == 1) {
        return std::move(*shell);
    }
    shell.reset();
    return {kvm_, *memory_, {shape.vcpu_count, threads_per_core}};
}

void KvmMicrovm::start(const MicrovmConfig& config) {
    // After a try that failed nothing may refer to its memory.
    machine_.reset();
    balloon_.reset();
    entropy_.reset();
    vhost_user_drives_.clear();
    allocate_memory(config.machine);
    const std::vector<DeviceToAttach> devices = devices_of(config);
    machine_ = std::make_unique<Machine>(take_shell(config.machine), loop_, *memory_,
                                         machine_config(config), devices);
    machine_->start();
    state_ = MicrovmState::running;
}

}  // namespace shoal::vmm
