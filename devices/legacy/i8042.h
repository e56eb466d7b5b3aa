// I8042: the keyboard controller: resets the machine, and passes on what the keyboard says.
//
// As far as Linux's i8042 driver needs it. There is no mouse.
// Source: IBM PS/2 Hardware Interface Technical Reference (Keyboard and Auxiliary Device
// Controller). At ports 0x60 to 0x64; bytes come one at a time through port 0x60, the controller's
// before the keyboard's, each with an interrupt when the guest enabled it.
// Any thread: a mutex guards the state. Nothing blocks, everything is bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

#include "devices/host/metrics.h"
#include "devices/legacy/keyboard.h"
#include "devices/machine/bus_device.h"
#include "devices/machine/irq_line.h"

namespace shoal::legacy {

// By Firecracker's names.
struct I8042Metrics {
    std::uint64_t error_count = 0;  // keys and answers that did not fit
    std::uint64_t missed_read_count = 0;
    std::uint64_t missed_write_count = 0;  // to no register, and commands that are none
    std::uint64_t read_count = 0;
    std::uint64_t reset_count = 0;
    std::uint64_t write_count = 0;

    void report(host::MetricSink& sink) const;
};

struct I8042State {
    std::uint8_t control = 0;
    std::uint8_t controller_command = 0;  // that waits for its parameter; 0: none
    bool last_was_command = false;
    std::optional<std::byte> reply;
    KeyboardState keyboard;

    friend bool operator==(const I8042State&, const I8042State&) = default;
};

class I8042 final : public machine::BusDevice {
public:
    static constexpr std::uint64_t port_count = 5;

    // `reset` is called on the vCPU's thread. Borrows the interrupt line.
    I8042(machine::IrqLine& irq, std::function<void()> reset)
        : irq_{irq}, reset_{std::move(reset)} {}

    void read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
    void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;

    // Presses and releases the three keys. False: the guest does not listen to its keyboard, or has
    // not read what was typed before.
    [[nodiscard]] bool send_ctrl_alt_del() noexcept;

    [[nodiscard]] I8042Metrics metrics() const noexcept;
    // While no vCPU runs.
    [[nodiscard]] I8042State save() const;
    void restore(const I8042State& state) noexcept;

private:
    [[nodiscard]] std::uint8_t read_data() noexcept;
    [[nodiscard]] std::uint8_t status() const noexcept;
    // True: the machine is to be reset.
    [[nodiscard]] bool write_command(std::uint8_t command) noexcept;
    [[nodiscard]] bool write_data(std::uint8_t value) noexcept;
    void reply(std::uint8_t value) noexcept;
    void interrupt_for_next() noexcept;
    [[nodiscard]] bool has_byte() const noexcept;
    [[nodiscard]] bool is_keyboard_enabled() const noexcept;

    machine::IrqLine& irq_;
    std::function<void()> reset_;
    mutable std::mutex mutex_;
    // What firmware leaves behind: interrupt on, self test passed, no mouse, translation.
    std::uint8_t control_ = 0x65;
    std::uint8_t controller_command_ = 0;
    bool last_was_command_ = false;
    std::optional<std::byte> reply_;  // the controller's
    Keyboard keyboard_;
    I8042Metrics metrics_;
};

}  // namespace shoal::legacy
