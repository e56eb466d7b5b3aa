// Wiring one microVM.
#include "vmm/machine/machine.h"

#include <unistd.h>

#include <array>

#include "devices/abi/address_map.h"
#include "devices/host/clock.h"
#include "devices/host/log.h"
#include "vmm/machine/boot_registers.h"
#include "vmm/machine/generation.h"

namespace shoal::vmm {

namespace {

std::unique_ptr<virtio::Console> make_console(const host::EventFd& wake) {
    const std::array<virtio::ConsolePortStreams, 2> streams{{
        {backend::InputStream{STDIN_FILENO}, backend::OutputStream{STDOUT_FILENO}},
        {backend::InputStream{-1}, backend::OutputStream{STDERR_FILENO}},
    }};
    return std::make_unique<virtio::Console>(streams, wake);
}

}  // namespace

Machine::Machine(VmShell shell, EventLoop& loop, const machine::GuestMemory& memory,
                 const MachineConfig& config, std::span<const DeviceToAttach> devices)
    : Machine{shell, loop, memory, config, devices, Unfinished{}} {
    write_generation(memory_);
    make_vcpus(std::move(shell.vcpus),
               boot::load(memory_, config.boot, {config.vcpu_count, virtio_.slots()}));
}

Machine::Machine(VmShell& shell, EventLoop& loop, const machine::GuestMemory& memory,
                 const MachineConfig& config, std::span<const DeviceToAttach> devices, Unfinished)
    : loop_{loop},
      memory_{memory},
      vm_{std::move(shell.vm)},
      ioapic_{[this](legacy::Message message) { vm_.signal(message.address, message.data); }},
      serial_irq_{ioapic_, abi::serial_gsi},
      serial_{serial_irq_, loop_.wake(),
              backend::InputStream{config.console == Console::serial ? STDIN_FILENO : -1},
              backend::OutputStream{config.console == Console::serial   ? config.serial_output_fd
                                    : config.console == Console::virtio ? STDERR_FILENO
                                                                        : -1}},
      i8042_irq_{ioapic_, abi::i8042_gsi},
      i8042_{i8042_irq_,
             [this] {
                 end({static_cast<int>(ExitCode::reset), "the guest asked for a reset"});
             }},
      exit_device_{[this](std::uint32_t code) {
          ending_.set({static_cast<int>(code & 0xFF), {}});
      }},
      power_{[this] { ending_.set({}); }},
      boot_timer_{[this, on_boot_timer = config.on_boot_timer] {
          timing_.program_started_us = host::monotonic_us();
          if (on_boot_timer) {
              on_boot_timer();
          }
      }},
      ready_{config.on_ready},
      virtio_{{memory_, ioapic_, mmio_, loop_, vm_}},
      throttle_{loop_.context(), vcpus_},
      fence_{config.fence},
      on_vcpu_thread_{config.on_vcpu_thread} {
    timing_.vm_created_us = shell.created_us;
    add_legacy_devices();
    serial_.set_rate_limit(config.serial_rate_limit);
    if (config.console == Console::virtio) {
        add_virtio_console();
    }
    for (const DeviceToAttach& device : devices) {
        virtio_.add(*device.device, device.notification);
    }
}

Machine::~Machine() = default;

void Machine::add_legacy_devices() {
    ports_.add(abi::serial_port, legacy::Serial::port_count, serial_);
    ports_.add(abi::i8042_port, legacy::I8042::port_count, i8042_);
    ports_.add(abi::exit_port, legacy::ExitDevice::port_count, exit_device_);
    ports_.add(abi::power_port, legacy::Power::port_count, power_);
    mmio_.add(abi::boot_timer_start, abi::page_size, boot_timer_);
    mmio_.add(abi::ready_start, abi::page_size, ready_);
    mmio_.add(abi::ioapic_start, abi::page_size, ioapic_);
}

void Machine::add_virtio_console() {
    console_ = make_console(loop_.wake());
    virtio_.add(*console_, Notification::exit);
}

void Machine::make_vcpus(std::vector<kvm::Vcpu> vcpus, const boot::EntryPoint& entry) {
    std::uint32_t idx = 0;
    for (kvm::Vcpu& vcpu : vcpus) {
        set_boot_msrs(vcpu);
        if (idx == 0) {
            set_boot_registers(vcpu, entry);
        } else if (entry.other_cpus) {
            set_other_registers(vcpu, *entry.other_cpus, idx);
        }
        add_vcpu(idx++, std::move(vcpu));
    }
}

void Machine::add_vcpu(std::uint32_t idx, kvm::Vcpu vcpu) {
    vcpus_.push_back(std::make_unique<VcpuThread>(
        idx, std::move(vcpu), VcpuSurroundings{ports_, mmio_, ending_, fence_, on_vcpu_thread_}));
}

// Only here does the loop learn of the machine, which from now on lives as long as the loop runs:
// first what may fail, since nobody takes the rest back.
void Machine::start_paused() {
    loop_.pause_devices();
    if (fence_ != nullptr) {
        is_held_ = fence_->has_passed();
        fence_timer_.emplace(loop_.context(), *fence_, [this] { look_at_fence(); });
    }
    loop_.on_event(ending_.event(), [this] { loop_.stop(); });
    loop_.add_stream(serial_);
    for (std::size_t port = 0; console_ != nullptr && port < console_->port_count(); ++port) {
        loop_.add_stream(console_->client(port));
    }
}

void Machine::start() {
    start_paused();
    timing_.first_instruction_us = host::monotonic_us();
    resume();
}

void Machine::throttle(unsigned percent) {
    if (is_running_ && !is_held_) {
        throttle_.set(percent);
    }
}

void Machine::pause() {
    is_running_ = false;
    stand();
}

void Machine::resume() {
    is_running_ = true;
    if (!is_held_) {
        run();
    }
}

// The guest goes on also when the work throws.
void Machine::while_paused(const std::function<void()>& work) {
    struct Pause {
        explicit Pause(Machine& its) : machine{its}, was_running{its.is_running_} {
            machine.pause();
        }
        Pause(const Pause&) = delete;
        Pause& operator=(const Pause&) = delete;
        ~Pause() {
            if (was_running) {
                machine.resume();
            }
        }
        Machine& machine;
        const bool was_running;
    };
    const Pause pause{*this};
    work();
}

void Machine::stand() {
    throttle_.set(0);
    for (const auto& vcpu : vcpus_) {
        vcpu->pause();
    }
    loop_.pause_devices();
}

void Machine::run() {
    loop_.resume_devices();
    virtio_.resume();
    for (const auto& vcpu : vcpus_) {
        vcpu->resume();
    }
}

// vCPUs that saw it pass before this did stand still already; they run again from here on.
void Machine::look_at_fence() {
    const bool was_held = std::exchange(is_held_, fence_->has_passed());
    if (is_held_ != was_held) {
        host::log(host::LogLevel::warn, is_held_ ? "the guest stands still: its deadline has passed"
                                                 : "the guest goes on: its deadline was moved");
    }
    if (!is_running_) {
        return;
    }
    if (is_held_) {
        stand();
    } else {
        run();
    }
}

void Machine::report_metrics(MetricGroups& groups) const {
    serial_.metrics().report(groups.group("uart", ""));
    i8042_.metrics().report(groups.group("i8042", ""));
    ioapic_.metrics().report(groups.group("ioapic", ""));
    host::MetricSink& vcpu = groups.group("vcpu", "");
    vcpu.counter("failed_accesses", ports_.unanswered() + mmio_.unanswered());
    VcpuTotals totals;
    for (const auto& thread : vcpus_) {
        totals.add(thread->metrics());
    }
    totals.report(vcpu);
}

Ending Machine::finish() {
    timing_.ended_us = host::monotonic_us();
    for (const auto& vcpu : vcpus_) {
        vcpu->request_stop();
    }
    vcpus_.clear();
    const Ending ending = ending_.get().value_or(Ending{});
    if (!output_is_elsewhere_) {
        // Who ends a microVM does not wait for who reads its output; a pager may take its time.
        finish_output(is_from_outside(ending) ? backend::Patience::one_second
                                              : backend::Patience::for_ever);
    }
    return ending;
}

void Machine::finish_output(backend::Patience patience) noexcept {
    loop_.forget_signals();
    backend::drain_output(serial_, patience);
    if (console_ != nullptr) {
        virtio_.process_queues();
        console_->finish(patience);
    }
}

}  // namespace shoal::vmm
