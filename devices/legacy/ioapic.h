// IoApic: the I/O APIC: turns 24 interrupt lines into messages to the local APICs.
//
// Source: Intel 82093AA data sheet. Ours and not KVM's, because KVM takes 12 ms to tear its own
// down when a microVM ends. Lines are edge-triggered; an edge while the line is masked is lost.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

#include "devices/abi/address_map.h"
#include "devices/host/metrics.h"
#include "devices/machine/bus_device.h"
#include "devices/machine/irq_line.h"

namespace shoal::legacy {

// A message-signalled interrupt, as a PCI device would write it (Intel SDM 3A, 11.11).
struct Message {
    std::uint64_t address;
    std::uint32_t data;

    friend bool operator==(const Message&, const Message&) = default;
};

// Of edges that came by raise().
struct IoApicMetrics {
    std::uint64_t message_count = 0;
    std::uint64_t lost_edge_count = 0;  // while the line was masked

    void report(host::MetricSink& sink) const {
        sink.counter("message_count", message_count);
        sink.counter("lost_edge_count", lost_edge_count);
    }
};

struct IoApicState {
    std::uint32_t selected = 0;
    std::uint32_t id = 0;
    std::array<std::uint64_t, abi::ioapic_pins> entries{};

    friend bool operator==(const IoApicState&, const IoApicState&) = default;
};

class IoApic final : public machine::BusDevice {
public:
    // `send` may be called on any thread, must not block and must not call back.
    explicit IoApic(std::function<void(Message)> send);

    void read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
    void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;

    // An edge on a line. Any thread.
    void raise(std::uint32_t pin) noexcept;

    // For lines whose edges go past raise(): what an edge becomes now, nothing while masked; and
    // who is told, on the thread that changed it, that this may differ for some line. Set before
    // the first vCPU runs.
    [[nodiscard]] std::optional<Message> message(std::uint32_t pin) const noexcept;
    void on_reroute(std::function<void()> reroute) { reroute_ = std::move(reroute); }

    [[nodiscard]] IoApicMetrics metrics() const noexcept;
    [[nodiscard]] IoApicState save() const noexcept;
    void restore(const IoApicState& state) noexcept;

    // One of the lines, for a device.
    class Line final : public machine::IrqLine {
    public:
        Line(IoApic& apic, std::uint32_t pin) noexcept : apic_{apic}, pin_{pin} {}
        void raise() noexcept override { apic_.raise(pin_); }

    private:
        IoApic& apic_;
        std::uint32_t pin_;
    };

private:
    [[nodiscard]] std::uint32_t read_register() const noexcept;
    // Whether an entry is another now.
    [[nodiscard]] bool write_register(std::uint32_t value) noexcept;

    std::function<void(Message)> send_;
    std::function<void()> reroute_ = [] {};
    mutable std::mutex mutex_;
    std::uint32_t selected_ = 0;
    std::uint32_t id_ = 0;
    std::array<std::uint64_t, abi::ioapic_pins> entries_;
    IoApicMetrics metrics_;
};

}  // namespace shoal::legacy
