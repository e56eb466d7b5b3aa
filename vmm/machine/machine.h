// Machine: the composition root of one microVM: memory, KVM, devices, vCPU threads.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "devices/host/deadline_file.h"
#include "devices/legacy/boot_timer.h"
#include "devices/legacy/exit_device.h"
#include "devices/legacy/i8042.h"
#include "devices/legacy/ioapic.h"
#include "devices/legacy/power.h"
#include "devices/legacy/ready.h"
#include "devices/legacy/serial.h"
#include "devices/machine/guest_memory.h"
#include "devices/virtio/console.h"
#include "vmm/boot/boot.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/bus.h"
#include "vmm/machine/ending.h"
#include "vmm/machine/event_loop.h"
#include "vmm/machine/fence_timer.h"
#include "vmm/machine/machine_state.h"
#include "vmm/machine/metric_groups.h"
#include "vmm/machine/page_log.h"
#include "vmm/machine/vcpu_thread.h"
#include "vmm/machine/vcpu_throttle.h"
#include "vmm/machine/virtio_devices.h"
#include "vmm/machine/vm_shell.h"

namespace shoal::vmm {

class WrittenPages;

// What stdin, stdout and stderr of the process lead to in the guest.
enum class Console {
    none,
    serial,  // the serial port; stderr is ours
    virtio,  // stdin and stdout: port 0; stderr: port 1
};

struct MachineConfig {
    std::uint32_t vcpu_count = 1;
    Console console = Console::serial;
    int serial_output_fd = STDOUT_FILENO;  // for Console::serial; borrowed
    backend::TokenBucketConfig serial_rate_limit;
    std::function<void()> on_boot_timer;   // called on a vCPU's thread
    std::function<void()> on_ready;        // the same; the guest waits to be copied
    std::function<void()> on_vcpu_thread;  // the same, before the guest runs on it; may throw
    boot::BootSource boot;
    // Once it has passed, the guest stands still. Borrowed; null: none.
    const host::DeadlineFile* fence = nullptr;
};

// A device that was opened before the machine was built. Borrowed; outlives the machine.
struct DeviceToAttach {
    virtio::Device* device = nullptr;
    Notification notification = Notification::ioeventfd;
};

// When things happened, on CLOCK_MONOTONIC; 0: not yet.
struct Timing {
    std::uint64_t vm_created_us = 0;
    std::uint64_t first_instruction_us = 0;  // of the guest
    std::uint64_t program_started_us = 0;    // the guest wrote to the boot timer
    std::uint64_t ended_us = 0;
};

// All functions are called on the event loop's thread.
class Machine {
public:
    // Builds everything; nothing runs yet. Throws with one sentence. Borrows the loop, which stops
    // when the guest has ended, and the memory, which is the shell's; the shell has as many vCPUs
    // as `config` says.
    Machine(VmShell shell, EventLoop& loop, const machine::GuestMemory& memory,
            const MachineConfig& config, std::span<const DeviceToAttach> devices = {});
    // Where `state` was taken; `config` needs no boot source. The devices whose state goes into
    // them before they are active have it, the others get it next; then start().
    Machine(VmShell shell, EventLoop& loop, const machine::GuestMemory& memory,
            const MachineConfig& config, std::span<const DeviceToAttach> devices,
            const MachineState& state);
    // Everything built, the vCPUs too, for a state that comes later: restore(), after
    // start_paused().
    struct Blank {};
    Machine(VmShell shell, EventLoop& loop, const machine::GuestMemory& memory,
            const MachineConfig& config, std::span<const DeviceToAttach> devices, Blank);
    ~Machine();

    // Once. The guest runs from here on, and the loop serves it; the machine outlives the loop's
    // run.
    void start();
    // As start(), but the guest runs from the next resume() on.
    void start_paused();
    // Idempotent. While paused neither vCPUs nor devices do anything.
    void pause();
    void resume();

    // What the guest believes its CPU to be. The guest may run; it stands still for a moment.
    [[nodiscard]] kvm::CpuModel cpu_model();
    // While paused. Throws with one sentence when a guest with that CPU cannot run here.
    void expect_model(const kvm::CpuModel& model) const { vcpus_.front()->expect_model(model); }
    // While paused, and after the devices that were attached have saved theirs.
    [[nodiscard]] MachineState save() const;
    // As the constructor with a state does it. Throws with one sentence; a machine that did is not
    // to be run.
    void restore(const MachineState& state);
    // Of any number. May be while the guest runs, which then stands still for a moment.
    [[nodiscard]] std::unique_ptr<PageLog> log_pages();
    // While running: the vCPUs stand still for so much of the time, 0 to 99 percent, until they are
    // paused.
    void throttle(unsigned percent);
    // While paused: the guest runs in another process now, which has what it had written too.
    // finish() writes nothing out.
    void forget_output() noexcept { output_is_elsewhere_ = true; }
    void take_output() noexcept { output_is_elsewhere_ = false; }
    // The guest has ended, or was ended.
    [[nodiscard]] bool has_ended() const noexcept { return ending_.is_set(); }

    // False: the guest does not listen to its keyboard.
    [[nodiscard]] bool send_ctrl_alt_del() noexcept { return i8042_.send_ctrl_alt_del(); }
    // While paused: the guest is told that it was loaded (devices/abi/generation.h).
    void signal_generation() noexcept { ioapic_.raise(abi::generation_gsi); }
    // The counters of the devices that every machine has.
    void report_metrics(MetricGroups& groups) const;

    // Ends the guest from outside, unless it has ended already: the loop stops.
    void end(Ending ending) noexcept { ending_.set(std::move(ending)); }
    // After the loop has stopped. Everything that the guest had written to its console before is
    // written out, as long as somebody takes it; meanwhile signals have their default effect. If it
    // has not ended by itself, it is as if end() had been called without a word.
    [[nodiscard]] Ending finish();

    [[nodiscard]] const Timing& timing() const noexcept { return timing_; }

private:
    struct Unfinished {};
    // All but the vCPUs' threads.
    Machine(VmShell& shell, EventLoop& loop, const machine::GuestMemory& memory,
            const MachineConfig& config, std::span<const DeviceToAttach> devices, Unfinished);

    void add_legacy_devices();
    void add_virtio_console();
    void make_vcpus(std::vector<kvm::Vcpu> vcpus, const boot::EntryPoint& entry);
    void add_vcpu(std::uint32_t idx, kvm::Vcpu vcpu);
    void finish_output(backend::Patience patience) noexcept;
    void run();
    void stand();
    // A machine that runs stands still meanwhile.
    void while_paused(const std::function<void()>& work);
    void look_at_fence();

    Timing timing_;
    bool is_running_ = false;  // unless it is held
    bool is_held_ = false;     // its fence has passed
    bool output_is_elsewhere_ = false;
    EventLoop& loop_;
    const machine::GuestMemory& memory_;
    kvm::Vm vm_;
    EndingSlot ending_;
    Bus ports_;
    Bus mmio_;
    legacy::IoApic ioapic_;
    legacy::IoApic::Line serial_irq_;
    legacy::Serial serial_;
    legacy::IoApic::Line i8042_irq_;
    legacy::I8042 i8042_;
    legacy::ExitDevice exit_device_;
    legacy::Power power_;
    legacy::BootTimer boot_timer_;
    legacy::Ready ready_;
    std::unique_ptr<virtio::Console> console_;
    VirtioDevices virtio_;                            // after what it borrows
    std::vector<std::unique_ptr<VcpuThread>> vcpus_;  // stopped before what they use goes
    VcpuThrottle throttle_;
    const host::DeadlineFile* fence_;
    std::function<void()> on_vcpu_thread_;
    std::optional<FenceTimer> fence_timer_;
    std::weak_ptr<WrittenPages> written_pages_;  // while somebody logs
};

}  // namespace shoal::vmm
