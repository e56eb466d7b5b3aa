// Wiring one microVM.
#include "vmm/machine/machine.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "devices/abi/address_map.h"
#include "devices/virtio/console.h"
#include "devices/virtio/mmio_transport.h"
#include "vmm/machine/boot_registers.h"

namespace shoal::vmm {

// A console, its interrupt line and its registers.
struct Machine::VirtioConsole {
    VirtioConsole(const machine::GuestMemory& memory, legacy::IoApic& ioapic,
                  const host::EventFd& wake)
        : device{streams, wake},
          irq{ioapic, abi::virtio_first_gsi},
          transport{device, memory, irq} {}

    static constexpr std::array<virtio::ConsolePortStreams, 2> streams{{
        {backend::InputStream{STDIN_FILENO}, backend::OutputStream{STDOUT_FILENO}},
        {backend::InputStream{-1}, backend::OutputStream{STDERR_FILENO}},
    }};

    virtio::Console device;
    legacy::IoApic::Line irq;
    virtio::MmioTransport transport;
};

std::uint64_t monotonic_us() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
}

Machine::Machine(const kvm::Kvm& kvm, const MachineConfig& config)
    : memory_{config.memory_bytes},
      vm_{kvm},
      ioapic_{[this](legacy::Message message) { vm_.signal(message.address, message.data); }},
      serial_irq_{ioapic_, abi::serial_gsi},
      serial_{serial_irq_, loop_.wake(),
              backend::InputStream{config.console == Console::serial ? STDIN_FILENO : -1},
              backend::OutputStream{config.console == Console::serial   ? STDOUT_FILENO
                                    : config.console == Console::virtio ? STDERR_FILENO
                                                                        : -1}},
      i8042_{[this] { end(ExitCode::reset, "the guest asked for a reset"); }},
      exit_device_{[this](std::uint32_t code) {
          ending_.set({static_cast<int>(code & 0xFF), {}});
      }},
      boot_timer_{[this] { timing_.program_started_us = monotonic_us(); }} {
    // The order is the fast one: see kvm::Vm.
    vm_.set_memory(memory_);
    vm_.create_local_apics();
    timing_.vm_created_us = monotonic_us();
    add_legacy_devices(config);
    std::vector<boot::VirtioMmioSlot> slots;
    if (config.console == Console::virtio) {
        add_virtio_console();
        slots.push_back(
            {machine::Gpa{abi::virtio_mmio_start}, abi::virtio_mmio_size, abi::virtio_first_gsi});
    }
    const boot::EntryPoint entry = boot::load(memory_, config.boot, {config.vcpu_count, slots});
    make_vcpus(config, entry);

    loop_.on_event(ending_.event(), [this] { loop_.stop(); });
    loop_.on_signals({SIGTERM, SIGINT, SIGHUP}, [this](int number) {
        if (number == SIGINT) {
            end(ExitCode::interrupted, "ended by SIGINT");
        } else {
            end(ExitCode::terminated, number == SIGTERM ? "ended by SIGTERM" : "ended by SIGHUP");
        }
    });
    if (config.timeout) {
        const double seconds = std::chrono::duration<double>(*config.timeout).count();
        std::array<char, 64> text;
        std::snprintf(text.data(), text.size(), "the time limit of %g s is reached", seconds);
        loop_.after(*config.timeout, [this, sentence = std::string{text.data()}] {
            end(ExitCode::timeout, sentence);
        });
    }
}

Machine::~Machine() = default;

void Machine::add_legacy_devices(const MachineConfig&) {
    ports_.add(abi::serial_port, legacy::Serial::port_count, serial_);
    ports_.add(abi::i8042_port, legacy::I8042::port_count, i8042_);
    ports_.add(abi::exit_port, legacy::ExitDevice::port_count, exit_device_);
    mmio_.add(abi::boot_timer_start, abi::page_size, boot_timer_);
    mmio_.add(abi::ioapic_start, abi::page_size, ioapic_);
    loop_.add_stream(serial_);
}

void Machine::add_virtio_console() {
    console_ = std::make_unique<VirtioConsole>(memory_, ioapic_, loop_.wake());
    mmio_.add(abi::virtio_mmio_start, abi::virtio_mmio_size, console_->transport);
    loop_.on_event(console_->transport.notify_event(),
                   [this] { console_->transport.process_queues(); });
    for (std::size_t port = 0; port < console_->device.port_count(); ++port) {
        loop_.add_stream(console_->device.client(port));
    }
}

void Machine::make_vcpus(const MachineConfig& config, const boot::EntryPoint& entry) {
    for (std::uint32_t idx = 0; idx < config.vcpu_count; ++idx) {
        kvm::Vcpu vcpu{vm_, idx, config.vcpu_count};
        if (idx == 0) {
            set_boot_registers(vcpu, entry);
        }
        vcpus_.push_back(std::make_unique<VcpuThread>(idx, std::move(vcpu),
                                                      VcpuSurroundings{ports_, mmio_, ending_}));
    }
}

Ending Machine::run() {
    timing_.first_instruction_us = monotonic_us();
    for (const auto& vcpu : vcpus_) {
        vcpu->resume();
    }
    loop_.run();
    timing_.ended_us = monotonic_us();
    for (const auto& vcpu : vcpus_) {
        vcpu->request_stop();
    }
    vcpus_.clear();
    finish_output();
    return ending_.get().value_or(Ending{});
}

void Machine::finish_output() noexcept {
    backend::drain_output(serial_);
    if (console_) {
        console_->transport.process_queues();
        console_->device.finish();
    }
}

void Machine::end(ExitCode code, std::string sentence) noexcept {
    ending_.set({static_cast<int>(code), std::move(sentence)});
}

}  // namespace shoal::vmm
