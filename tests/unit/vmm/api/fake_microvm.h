// A microVM that only remembers what it was told.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "vmm/machine/microvm.h"

namespace shoal::api::testing {

// Of what devices, or a test in their place, write.
struct FakePageLog final : vmm::PageLog {
    FakePageLog(const machine::GuestMemory& of, const std::function<void()>& writer)
        : memory{of}, on_take{writer} {
        of.write_log().start();
    }
    ~FakePageLog() override { memory.write_log().stop(); }
    void take(std::span<std::uint64_t> bitmap) override {
        if (on_take) {
            on_take();
        }
        memory.write_log().take(bitmap);
    }
    const machine::GuestMemory& memory;
    const std::function<void()>& on_take;
};

struct FakeMicrovm final : vmm::Microvm {
    vmm::MicrovmState now = vmm::MicrovmState::not_started;
    std::string refusal;             // what the next call throws; then empty again
    std::vector<std::string> calls;  // names of functions
    kvm::CpuModel model = {};
    kvm::CpuModel built_for = {};
    vmm::MicrovmConfig started_with;
    std::uint64_t saved_at_ns = 0;            // what save() says of the wall clock
    std::optional<vmm::SavedMicrovm> loaded;  // or restored
    std::optional<vmm::Ending> ended;
    std::vector<unsigned> throttled;
    std::function<void()> on_save;  // within save()
    std::function<void()> on_load, on_arrive;
    std::function<void()> on_resume;  // within resume() and throttle()
    std::function<void()> on_take;    // before a page log tells, on the thread that asks
    vmm::DriveUpdate drive_update;
    vmm::NetworkInterfaceUpdate network_update;
    vmm::HintingStart hinting;
    std::optional<std::uint32_t> hinting_guest_cmd;
    vmm::BalloonStatistics statistics;
    std::uint64_t read_bytes = 0;
    std::optional<vmm::CloneWords> clone;
    std::vector<std::uint32_t> wanted;      // by the guest, since restore()
    std::vector<std::uint32_t> read_ahead;  // what restore() was to
    machine::GuestMemory ram{1 << 20};
    // What every drive holds, and what is written there.
    static constexpr std::uint64_t drive_bytes = (1 << 20) + 512;
    std::uint64_t drive_size_bytes = drive_bytes;
    host::UniqueFd drive{::memfd_create("drive", MFD_CLOEXEC)};
    std::shared_ptr<machine::WriteLog> drive_writes =
        std::make_shared<machine::WriteLog>(drive_bytes);

    void called(const char* name) {
        if (!refusal.empty()) {
            throw std::runtime_error(std::exchange(refusal, {}));
        }
        calls.emplace_back(name);
    }

    [[nodiscard]] vmm::MicrovmState state() const noexcept override { return now; }
    [[nodiscard]] vmm::Ending finish() override { return {}; }
    void set_boot_source(const vmm::BootSourceConfig&) override { called("set_boot_source"); }
    void set_drive(const vmm::DriveConfig&) override { called("set_drive"); }
    void set_network_interface(const vmm::NetworkInterfaceConfig&) override {
        called("set_network_interface");
    }
    void set_vsock(const vmm::VsockConfig&) override { called("set_vsock"); }
    void set_serial(const vmm::SerialConfig&) override { called("set_serial"); }
    void start(const vmm::MicrovmConfig& config) override {
        called("start");
        started_with = config;
        now = vmm::MicrovmState::running;
    }
    [[nodiscard]] vmm::SavedMicrovm save(const vmm::MicrovmConfig& config) override {
        called("save");
        if (on_save) {
            on_save();
        }
        vmm::SavedMicrovm saved;
        saved.config = config;
        saved.machine.vcpus.resize(config.machine.vcpu_count);
        saved.machine.clock.realtime_ns = saved_at_ns;
        saved.drives.resize(config.drives.size());
        return saved;
    }
    [[nodiscard]] machine::GuestMemory& memory() override { return ram; }
    void restore(const vmm::SavedMicrovm& saved, vmm::MemorySource source) override {
        called("restore");
        loaded = saved;
        read_ahead = std::move(source.ahead);
        started_with = saved.config;
        now = vmm::MicrovmState::paused;
    }
    void build(const vmm::MicrovmConfig& config, const kvm::CpuModel& cpu) override {
        called("build");
        built_for = cpu;
        started_with = config;
        now = vmm::MicrovmState::paused;
    }
    void load(const vmm::SavedMicrovm& saved) override {
        called("load");
        loaded = saved;
        if (on_load) {
            on_load();
        }
    }
    void arrive() override {
        called("arrive");
        now = vmm::MicrovmState::running;
        if (on_arrive) {
            on_arrive();
        }
    }
    [[nodiscard]] kvm::CpuModel cpu_model() override { return model; }
    [[nodiscard]] std::unique_ptr<vmm::PageLog> log_pages() override {
        called("log_pages");
        return std::make_unique<FakePageLog>(ram, on_take);
    }
    [[nodiscard]] virtio::BlockContent drive_content(const std::string&) override {
        called("drive_content");
        virtio::BlockContent content{host::UniqueFd{::dup(drive.get())}, drive_size_bytes,
                                     drive_writes};
        drive_writes->start();
        return content;
    }
    void throttle(unsigned percent) override {
        throttled.push_back(percent);
        if (on_resume) {
            on_resume();
        }
    }
    void forget_guest() noexcept override { calls.emplace_back("forget_guest"); }
    void end(vmm::Ending ending) noexcept override { ended = std::move(ending); }
    void renew_generation(const std::optional<vmm::CloneWords>& words) override {
        called("renew_generation");
        clone = words;
    }
    [[nodiscard]] std::vector<std::uint32_t> wanted_pages() const override { return wanted; }
    void give_up() override { calls.emplace_back("give_up"); }
    void pause() override {
        called("pause");
        now = vmm::MicrovmState::paused;
    }
    void resume() override {
        called("resume");
        now = vmm::MicrovmState::running;
        if (on_resume) {
            on_resume();
        }
    }
    void update_drive(const vmm::DriveUpdate& update) override {
        called("update_drive");
        drive_update = update;
    }
    void update_network_interface(const vmm::NetworkInterfaceUpdate& update) override {
        called("update_network_interface");
        network_update = update;
    }
    void set_balloon_target(std::uint32_t) override { called("set_balloon_target"); }
    void set_balloon_polling_interval(std::uint16_t) override {
        called("set_balloon_polling_interval");
    }
    [[nodiscard]] vmm::BalloonStatistics balloon_statistics() override { return statistics; }
    void start_hinting(const vmm::HintingStart& start) override {
        called("start_hinting");
        hinting = start;
    }
    void stop_hinting() override { called("stop_hinting"); }
    [[nodiscard]] vmm::HintingStatus hinting_status() override { return {7, hinting_guest_cmd}; }
    void send_ctrl_alt_del() override { called("send_ctrl_alt_del"); }
    void report_metrics(vmm::MetricGroups& groups) const override {
        host::MetricSink& rootfs = groups.group("block", "rootfs");
        rootfs.counter("read_bytes", read_bytes);
        rootfs.latency("read_agg", {3'000, 9'000, read_bytes * 1'000});
        host::MetricSink& scratch = groups.group("block", "scratch");
        scratch.counter("read_bytes", 5);
        scratch.latency("read_agg", {2'000, 4'000, 6'000});
        groups.group("vcpu", {}).counter("exit_mmio_read", 3);
    }
};

}  // namespace shoal::api::testing
