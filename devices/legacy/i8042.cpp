// The keyboard controller's registers and commands.
#include "devices/legacy/i8042.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace shoal::legacy {
namespace {

constexpr std::uint64_t data_offset = 0;
constexpr std::uint64_t system_control_offset = 1;  // port 0x61
constexpr std::uint64_t command_offset = 4;         // read: status

// Bits of the status register.
constexpr std::uint8_t status_output_full = 0x01;
constexpr std::uint8_t status_system_flag = 0x04;
constexpr std::uint8_t status_last_was_command = 0x08;
constexpr std::uint8_t status_unlocked = 0x10;

// Bits of the control byte ("command byte").
constexpr std::uint8_t control_keyboard_interrupt = 0x01;
constexpr std::uint8_t control_system_flag = 0x04;
constexpr std::uint8_t control_keyboard_disabled = 0x10;
constexpr std::uint8_t control_mouse_disabled = 0x20;
constexpr std::uint8_t control_translate = 0x40;

// Linux waits for this bit, of timer 2's output, without end.
constexpr std::uint8_t system_control_timer_output = 0x20;

constexpr std::uint8_t self_test_passed = 0x55;
constexpr std::uint8_t interface_test_passed = 0x00;
constexpr std::uint8_t interface_test_failed = 0x01;  // for the mouse that is not there
constexpr std::uint8_t output_port_idle = 0x03;       // no reset, A20 open
constexpr std::uint8_t output_port_no_reset = 0x01;

enum class ControllerCommand : std::uint8_t {
    read_control = 0x20,
    write_control = 0x60,
    disable_mouse = 0xA7,
    enable_mouse = 0xA8,
    test_mouse = 0xA9,
    self_test = 0xAA,
    test_keyboard = 0xAB,
    disable_keyboard = 0xAD,
    enable_keyboard = 0xAE,
    read_output_port = 0xD0,
    write_output_port = 0xD1,
    write_keyboard_buffer = 0xD2,
    write_mouse_buffer = 0xD3,
    write_mouse = 0xD4,
    pulse_reset = 0xFE,
};

}  // namespace

void I8042Metrics::report(host::MetricSink& sink) const {
    sink.counter("error_count", error_count);
    sink.counter("missed_read_count", missed_read_count);
    sink.counter("missed_write_count", missed_write_count);
    sink.counter("read_count", read_count);
    sink.counter("reset_count", reset_count);
    sink.counter("write_count", write_count);
}

void I8042::read(std::uint64_t offset, std::span<std::byte> data) noexcept {
    std::ranges::fill(data, std::byte{0});
    const std::scoped_lock lock{mutex_};
    ++metrics_.read_count;
    if (offset == data_offset) {
        data[0] = std::byte{read_data()};
    } else if (offset == system_control_offset) {
        data[0] = std::byte{system_control_timer_output};
    } else if (offset == command_offset) {
        data[0] = std::byte{status()};
    } else {
        --metrics_.read_count;
        ++metrics_.missed_read_count;
    }
}

void I8042::write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
    const auto value = std::to_integer<std::uint8_t>(data[0]);
    bool resets = false;
    {
        const std::scoped_lock lock{mutex_};
        if (offset == data_offset || offset == command_offset) {
            ++metrics_.write_count;
            last_was_command_ = offset == command_offset;
            resets = last_was_command_ ? write_command(value) : write_data(value);
            metrics_.reset_count += resets ? 1 : 0;
        } else if (offset != system_control_offset) {
            ++metrics_.missed_write_count;
        }
    }
    if (resets) {
        reset_();
    }
}

std::uint8_t I8042::read_data() noexcept {
    std::uint8_t value = 0;
    if (reply_) {
        value = std::to_integer<std::uint8_t>(*reply_);
        reply_.reset();
    } else if (has_byte()) {
        value = std::to_integer<std::uint8_t>(keyboard_.pop());
    }
    interrupt_for_next();
    return value;
}

std::uint8_t I8042::status() const noexcept {
    return static_cast<std::uint8_t>(
        status_unlocked | (has_byte() ? status_output_full : 0) |
        ((control_ & control_system_flag) != 0 ? status_system_flag : 0) |
        (last_was_command_ ? status_last_was_command : 0));
}

bool I8042::write_command(std::uint8_t command) noexcept {
    controller_command_ = 0;
    switch (static_cast<ControllerCommand>(command)) {
        case ControllerCommand::read_control:
            reply(control_);
            return false;
        case ControllerCommand::write_control:
        case ControllerCommand::write_output_port:
        case ControllerCommand::write_keyboard_buffer:
        case ControllerCommand::write_mouse_buffer:
        case ControllerCommand::write_mouse:
            controller_command_ = command;
            return false;
        case ControllerCommand::disable_mouse:
            control_ |= control_mouse_disabled;
            return false;
        case ControllerCommand::enable_mouse:
            control_ &= static_cast<std::uint8_t>(~control_mouse_disabled);
            return false;
        case ControllerCommand::test_mouse:
            reply(interface_test_failed);
            return false;
        case ControllerCommand::self_test:
            control_ |= control_system_flag;
            reply(self_test_passed);
            return false;
        case ControllerCommand::test_keyboard:
            reply(interface_test_passed);
            return false;
        case ControllerCommand::disable_keyboard:
            control_ |= control_keyboard_disabled;
            return false;
        case ControllerCommand::enable_keyboard:
            control_ &= static_cast<std::uint8_t>(~control_keyboard_disabled);
            interrupt_for_next();
            return false;
        case ControllerCommand::read_output_port:
            reply(output_port_idle);
            return false;
        case ControllerCommand::pulse_reset:
            return true;
    }
    ++metrics_.missed_write_count;
    return false;
}

// A byte for the controller's last command, else for the keyboard.
bool I8042::write_data(std::uint8_t value) noexcept {
    switch (static_cast<ControllerCommand>(std::exchange(controller_command_, 0))) {
        case ControllerCommand::write_control:
            control_ = value;
            interrupt_for_next();
            return false;
        case ControllerCommand::write_output_port:
            return (value & output_port_no_reset) == 0;
        case ControllerCommand::write_keyboard_buffer:
            reply(value);
            return false;
        case ControllerCommand::write_mouse_buffer:
        case ControllerCommand::write_mouse:
            return false;  // nobody is there
        case ControllerCommand::read_control:
        case ControllerCommand::disable_mouse:
        case ControllerCommand::enable_mouse:
        case ControllerCommand::test_mouse:
        case ControllerCommand::self_test:
        case ControllerCommand::test_keyboard:
        case ControllerCommand::disable_keyboard:
        case ControllerCommand::enable_keyboard:
        case ControllerCommand::read_output_port:
        case ControllerCommand::pulse_reset:
            break;  // take no byte
    }
    control_ &= static_cast<std::uint8_t>(~control_keyboard_disabled);  // sending enables it
    keyboard_.write(value);
    interrupt_for_next();
    return false;
}

void I8042::reply(std::uint8_t value) noexcept {
    reply_ = std::byte{value};
    interrupt_for_next();
}

// The line is an edge: each byte that becomes readable is announced by itself.
void I8042::interrupt_for_next() noexcept {
    if (has_byte() && (control_ & control_keyboard_interrupt) != 0) {
        irq_.raise();
    }
}

bool I8042::has_byte() const noexcept {
    return reply_ || (is_keyboard_enabled() && !keyboard_.empty());
}

bool I8042::is_keyboard_enabled() const noexcept {
    return (control_ & control_keyboard_disabled) == 0;
}

bool I8042::send_ctrl_alt_del() noexcept {
    const std::scoped_lock lock{mutex_};
    const auto translation = (control_ & control_translate) != 0 ? Keyboard::Translation::to_set_1
                                                                 : Keyboard::Translation::none;
    if (!is_keyboard_enabled() || !keyboard_.press_ctrl_alt_del(translation)) {
        return false;
    }
    interrupt_for_next();
    return true;
}

I8042Metrics I8042::metrics() const noexcept {
    const std::scoped_lock lock{mutex_};
    I8042Metrics metrics = metrics_;
    metrics.error_count += keyboard_.dropped();
    return metrics;
}

I8042State I8042::save() const {
    const std::scoped_lock lock{mutex_};
    return {
        .control = control_,
        .controller_command = controller_command_,
        .last_was_command = last_was_command_,
        .reply = reply_,
        .keyboard = keyboard_.save(),
    };
}

void I8042::restore(const I8042State& state) noexcept {
    const std::scoped_lock lock{mutex_};
    control_ = state.control;
    controller_command_ = state.controller_command;
    last_was_command_ = state.last_was_command;
    reply_ = state.reply;
    keyboard_.restore(state.keyboard);
    interrupt_for_next();
}

}  // namespace shoal::legacy
