// From configuration to devices, and from the API's calls to theirs.
#include "vmm/machine/kvm_microvm.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#include "devices/backend/output_file.h"
#include "devices/backend/tap.h"
#include "devices/host/log.h"
#include "vmm/boot/command_line.h"
#include "vmm/machine/boot_time.h"
#include "vmm/machine/device_configs.h"

namespace shoal::vmm {
namespace {

constexpr const char* backing_file_refusal = "Error manipulating the backing file: ";

// What is missing is told in the words that clients of Firecracker look for. Whoever opens the file
// finds everything else that may be wrong with it.
void require_file(const std::string& path, const char* refusal) {
    if (::access(path.c_str(), R_OK) < 0) {
        const int error = errno;
        throw std::runtime_error(refusal + std::string{std::strerror(error)} + " (os error " +
                                 std::to_string(error) + ") " + path);
    }
}

// The balloon's refusals as sentences.
template <typename T>
T accepted(std::expected<T, virtio::BalloonError> result) {
    if (result) {
        if constexpr (!std::is_void_v<T>) {
            return *result;
        } else {
            return;
        }
    }
    switch (result.error()) {
        case virtio::BalloonError::not_active:
            throw std::runtime_error(
                "Device is inactive, check if balloon driver is enabled in guest kernel");
        case virtio::BalloonError::statistics_disabled:
            throw std::runtime_error("Statistics for the balloon device are not enabled");
        case virtio::BalloonError::statistics_state_change:
            throw std::runtime_error("Statistics cannot be enabled/disabled after activation");
        case virtio::BalloonError::hinting_disabled:
            throw std::runtime_error("Free page hinting is not enabled");
    }
    std::unreachable();
}

}  // namespace

std::unique_ptr<Microvm> make_microvm(const MicrovmSurroundings& surroundings) {
    return std::make_unique<KvmMicrovm>(surroundings);
}

KvmMicrovm::KvmMicrovm(const MicrovmSurroundings& surroundings)
    : loop_{surroundings.loop}, boot_timer_{surroundings.boot_timer} {
    loop_.on_signals({SIGTERM, SIGINT, SIGHUP},
                     [this](int number) { end(ending_by_signal(number)); });
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
    if (before != network_interfaces_.end() &&
        before->second.host_dev_name == config.host_dev_name) {
        network_interfaces_.erase(before);  // a TAP is opened once
    }
    try {
        auto net = std::make_unique<virtio::Net>(
            net_config(config), backend::Tap::open(config.host_dev_name), loop_.reactor());
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
                                             loop_.reactor());
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
    if (serial_output_) {
        result.serial_output_fd = serial_output_.get();
    }
    result.serial_rate_limit = serial_.rate_limiter.value_or(backend::TokenBucketConfig{});
    if (boot_timer_ == BootTimerLog::on) {
        result.on_boot_timer = [started = ProcessTimes::now()] {
            host::log(host::LogLevel::info, boot_time_line(started, ProcessTimes::now()));
        };
    }
    result.boot = {&*kernel_, initrd_ ? &*initrd_ : nullptr,
                   boot::linux_arguments(config.boot_source->boot_args, root_device(config))};
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

virtio::Net& KvmMicrovm::network_interface_of(const std::string& id) {
    const auto found = network_interfaces_.find(id);
    if (found == network_interfaces_.end()) {
        throw std::runtime_error("the network interface " + id +
                                 " has no TAP since it could not be replaced");
    }
    return *found->second.net;
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
        devices.push_back({&network_interface_of(interface.iface_id)});
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

void KvmMicrovm::allocate_memory(std::uint64_t size_mib) {
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

void KvmMicrovm::start(const MicrovmConfig& config) {
    // After a try that failed nothing may refer to its memory.
    machine_.reset();
    balloon_.reset();
    entropy_.reset();
    vhost_user_drives_.clear();
    allocate_memory(config.machine.mem_size_mib);
    const std::vector<DeviceToAttach> devices = devices_of(config);
    machine_ = std::make_unique<Machine>(kvm_, loop_, *memory_, machine_config(config), devices);
    machine_->start();
    state_ = MicrovmState::running;
}

void KvmMicrovm::pause() {
    machine_->pause();
    state_ = MicrovmState::paused;
}

void KvmMicrovm::resume() {
    machine_->resume();
    state_ = MicrovmState::running;
}

void KvmMicrovm::update_drive(const DriveUpdate& update) {
    const bool refresh = !update.path_on_host && !update.rate_limiter;
    const auto vhost_user = vhost_user_drives_.find(update.drive_id);
    if ((vhost_user != vhost_user_drives_.end()) != refresh) {
        throw std::runtime_error("Running method expected different backend.");
    }
    if (refresh) {
        vhost_user->second->update_config();
        return;
    }
    virtio::Block& drive = *drives_.at(update.drive_id);
    if (update.path_on_host) {
        require_file(*update.path_on_host, backing_file_refusal);
        drive.update_disk(*update.path_on_host);
    }
    if (update.rate_limiter) {
        drive.update_rate_limiter(*update.rate_limiter);
    }
}

void KvmMicrovm::update_network_interface(const NetworkInterfaceUpdate& update) {
    network_interface_of(update.iface_id)
        .update_rate_limiters(update.rx_rate_limiter.value_or(backend::RateLimiterConfig{}),
                              update.tx_rate_limiter.value_or(backend::RateLimiterConfig{}));
}

void KvmMicrovm::set_balloon_target(std::uint32_t amount_mib) {
    accepted(balloon_->set_target(amount_mib * balloon_pages_per_mib));
}

void KvmMicrovm::set_balloon_polling_interval(std::uint16_t seconds) {
    accepted(balloon_->set_polling_interval(seconds));
}

BalloonStatistics KvmMicrovm::balloon_statistics() {
    return statistics_of(accepted(balloon_->statistics()));
}

void KvmMicrovm::start_hinting(const HintingStart& start) {
    accepted(balloon_->start_hinting(start.acknowledge_on_stop ? virtio::AcknowledgeOnStop::yes
                                                               : virtio::AcknowledgeOnStop::no));
}

void KvmMicrovm::stop_hinting() {
    accepted(balloon_->stop_hinting());
}

HintingStatus KvmMicrovm::hinting_status() {
    const virtio::HintingStatus status = accepted(balloon_->hinting_status());
    return {status.host_cmd, status.guest_cmd};
}

void KvmMicrovm::send_ctrl_alt_del() {
    if (!machine_->send_ctrl_alt_del()) {
        throw std::runtime_error("the guest does not listen to its keyboard");
    }
}

void KvmMicrovm::report_metrics(MetricGroups& groups) const {
    for (const auto& [id, drive] : drives_) {
        drive->metrics().report(groups.group("block", id));
    }
    for (const auto& [id, interface] : network_interfaces_) {
        interface.net->metrics().report(groups.group("net", id));
    }
    if (vsock_) {
        vsock_->report(groups.group("vsock", ""));
    }
    for (const auto& [id, drive] : vhost_user_drives_) {
        drive->metrics().report(groups.group("vhost_user_block", id));
    }
    if (balloon_) {
        balloon_->metrics().report(groups.group("balloon", ""));
    }
    if (entropy_) {
        entropy_->metrics().report(groups.group("entropy", ""));
    }
    if (machine_) {
        machine_->report_metrics(groups);
    }
}

}  // namespace shoal::vmm
