// Machine: the composition root of one microVM: memory, KVM, devices, vCPU threads, event loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "devices/legacy/boot_timer.h"
#include "devices/legacy/exit_device.h"
#include "devices/legacy/i8042.h"
#include "devices/legacy/ioapic.h"
#include "devices/legacy/serial.h"
#include "devices/machine/guest_memory.h"
#include "vmm/boot/boot.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/bus.h"
#include "vmm/machine/ending.h"
#include "vmm/machine/event_loop.h"
#include "vmm/machine/vcpu_thread.h"

namespace shoal::vmm {

// What stdin, stdout and stderr of the process lead to in the guest.
enum class Console {
    none,
    serial,  // the serial port; stderr is ours
    virtio,  // stdin and stdout: port 0; stderr: port 1
};

struct MachineConfig {
    std::uint64_t memory_bytes = 128ULL << 20;
    std::uint32_t vcpu_count = 1;
    Console console = Console::serial;
    boot::BootSource boot;
    std::optional<std::chrono::nanoseconds> timeout;
};

// When things happened, on CLOCK_MONOTONIC; 0: not yet.
struct Timing {
    std::uint64_t vm_created_us = 0;
    std::uint64_t first_instruction_us = 0;  // of the guest
    std::uint64_t program_started_us = 0;    // the guest wrote to the boot timer
    std::uint64_t ended_us = 0;
};

[[nodiscard]] std::uint64_t monotonic_us() noexcept;

class Machine {
public:
    // Builds everything; nothing runs yet. Throws with one sentence.
    Machine(const kvm::Kvm& kvm, const MachineConfig& config);
    ~Machine();

    // Runs the guest on this thread's event loop until it ends. Everything that it had written to
    // its console before has then been written out.
    [[nodiscard]] Ending run();

    [[nodiscard]] const Timing& timing() const noexcept { return timing_; }

private:
    struct VirtioConsole;

    void add_legacy_devices(const MachineConfig& config);
    void add_virtio_console();
    void make_vcpus(const MachineConfig& config, const boot::EntryPoint& entry);
    void finish_output() noexcept;
    void end(ExitCode code, std::string sentence) noexcept;

    Timing timing_;
    machine::GuestMemory memory_;
    kvm::Vm vm_;
    EndingSlot ending_;
    EventLoop loop_;
    Bus ports_;
    Bus mmio_;
    legacy::IoApic ioapic_;
    legacy::IoApic::Line serial_irq_;
    legacy::Serial serial_;
    legacy::I8042 i8042_;
    legacy::ExitDevice exit_device_;
    legacy::BootTimer boot_timer_;
    std::unique_ptr<VirtioConsole> console_;
    std::vector<std::unique_ptr<VcpuThread>> vcpus_;  // last: stopped before what they use goes
};

}  // namespace shoal::vmm
