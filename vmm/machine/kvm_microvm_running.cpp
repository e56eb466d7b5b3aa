// The API's calls while the microVM runs or is paused: to the machine, and to its devices.
#include <expected>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "vmm/machine/device_configs.h"
#include "vmm/machine/kvm_microvm.h"
#include "vmm/machine/required_file.h"

namespace shoal::vmm {
namespace {

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
    network_interfaces_.at(update.iface_id)
        .net->update_rate_limiters(update.rx_rate_limiter.value_or(backend::RateLimiterConfig{}),
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
    if (page_filler_) {
        page_filler_->report(groups.group("page_filler", ""));
    }
    if (file_ahead_) {
        file_ahead_->report(groups.group("file_ahead", ""));
    }
    if (machine_) {
        machine_->report_metrics(groups);
    }
}

}  // namespace shoal::vmm
