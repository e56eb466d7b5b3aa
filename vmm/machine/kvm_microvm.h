// KvmMicrovm: a microVM that the API configures step by step and then runs on KVM.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/host/unique_fd.h"
#include "devices/machine/guest_memory.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/block.h"
#include "devices/virtio/entropy.h"
#include "devices/virtio/net.h"
#include "devices/virtio/vhost_user_block.h"
#include "devices/virtio/vsock.h"
#include "vmm/boot/image_file.h"
#include "vmm/kvm/kvm.h"
#include "vmm/machine/event_loop.h"
#include "vmm/machine/fault_handler.h"
#include "vmm/machine/file_ahead.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/microvm.h"
#include "vmm/machine/microvm_factory.h"
#include "vmm/machine/page_filler.h"

namespace shoal::vmm {

// On the event loop's thread. See Microvm for what each call promises.
class KvmMicrovm final : public Microvm {
public:
    // Opens /dev/kvm: throws with one sentence. SIGINT, SIGTERM and SIGHUP end the microVM.
    explicit KvmMicrovm(const MicrovmSurroundings& surroundings);
    ~KvmMicrovm() override;

    [[nodiscard]] MicrovmState state() const noexcept override { return state_; }
    [[nodiscard]] Ending finish() override;
    void set_boot_source(const BootSourceConfig& config) override;
    void set_drive(const DriveConfig& config) override;
    void set_network_interface(const NetworkInterfaceConfig& config) override;
    void set_vsock(const VsockConfig& config) override;
    void set_serial(const SerialConfig& config) override;
    void start(const MicrovmConfig& config) override;
    [[nodiscard]] SavedMicrovm save(const MicrovmConfig& config) override;
    [[nodiscard]] machine::GuestMemory& memory() override { return *memory_; }
    void restore(const SavedMicrovm& saved, MemorySource memory) override;
    void build(const MicrovmConfig& config, const kvm::CpuModel& cpu) override;
    void load(const SavedMicrovm& saved) override;
    void arrive() override;
    [[nodiscard]] kvm::CpuModel cpu_model() override { return machine_->cpu_model(); }
    [[nodiscard]] std::unique_ptr<PageLog> log_pages() override { return machine_->log_pages(); }
    [[nodiscard]] virtio::BlockContent drive_content(const std::string& drive_id) override {
        return drives_.at(drive_id)->content();
    }
    void throttle(unsigned percent) override { machine_->throttle(percent); }
    void forget_guest() noexcept override { machine_->forget_output(); }
    void end(Ending ending) noexcept override;
    void renew_generation(const std::optional<CloneWords>& clone) override;
    [[nodiscard]] std::vector<std::uint32_t> wanted_pages() const override;
    void give_up() override;
    void pause() override;
    void resume() override;
    void update_drive(const DriveUpdate& update) override;
    void update_network_interface(const NetworkInterfaceUpdate& update) override;
    void set_balloon_target(std::uint32_t amount_mib) override;
    void set_balloon_polling_interval(std::uint16_t seconds) override;
    [[nodiscard]] BalloonStatistics balloon_statistics() override;
    void start_hinting(const HintingStart& start) override;
    void stop_hinting() override;
    [[nodiscard]] HintingStatus hinting_status() override;
    void send_ctrl_alt_del() override;
    void report_metrics(MetricGroups& groups) const override;

private:
    struct NetworkInterface {
        std::string host_dev_name;
        std::unique_ptr<virtio::Net> net;
    };

    [[nodiscard]] MachineConfig machine_config(const MicrovmConfig& config) const;
    [[nodiscard]] virtio::Device& drive_of(const DriveConfig& config);
    [[nodiscard]] std::vector<DeviceToAttach> devices_of(const MicrovmConfig& config);
    void open_backends(const SavedMicrovm& saved);
    void restore_active_devices(const SavedMicrovm& saved);
    [[nodiscard]] RateBudgets save_budgets(const MicrovmConfig& config);
    void restore_budgets(const SavedMicrovm& saved);
    void announce(unsigned times);
    void allocate_memory(std::uint64_t size_mib);
    void allocate_memory(const MachineShape& shape);
    void fill_memory(MemorySource source);
    // Of memory_: see there.
    [[nodiscard]] VmShell take_shell(const MachineShape& shape);

    const kvm::Kvm kvm_;
    EventLoop& loop_;
    const BootTimerLog boot_timer_;
    const int ready_fd_;
    const host::DeadlineFile* const fence_;
    const std::function<void()> on_vcpu_thread_;
    MicrovmState state_ = MicrovmState::not_started;
    std::optional<Ending> early_end_;  // before there was a machine

    std::optional<boot::ImageFile> kernel_;
    std::optional<boot::ImageFile> initrd_;
    std::map<std::string, std::unique_ptr<virtio::Block>> drives_;
    std::map<std::string, NetworkInterface> network_interfaces_;
    std::unique_ptr<virtio::Vsock> vsock_;
    std::string vsock_path_;
    host::UniqueFd serial_output_;
    SerialConfig serial_;
    // Made by start() and its like, or before, with a shell that waits for them.
    std::optional<machine::GuestMemory> memory_;
    std::optional<VmShell> warm_shell_;
    std::optional<FaultHandler> fault_handler_;  // of memory_
    std::optional<PageFiller> page_filler_;      // of memory_
    std::optional<FileAhead> file_ahead_;        // of memory_
    std::map<std::string, std::unique_ptr<virtio::VhostUserBlock>> vhost_user_drives_;
    std::unique_ptr<virtio::Entropy> entropy_;
    std::unique_ptr<virtio::Balloon> balloon_;
    std::unique_ptr<Machine> machine_;  // last: it borrows the devices
};

}  // namespace shoal::vmm
