// The keyboard's commands.
#include "devices/legacy/keyboard.h"

#include <array>
#include <utility>

namespace shoal::legacy {
namespace {

constexpr std::uint8_t acknowledge = 0xFA;
constexpr std::uint8_t resend = 0xFE;
constexpr std::uint8_t self_test_passed = 0xAA;

enum class Command : std::uint8_t {
    set_leds = 0xED,
    echo = 0xEE,
    scan_code_set = 0xF0,
    identify = 0xF2,
    set_rate = 0xF3,
    enable = 0xF4,
    disable = 0xF5,
    set_defaults = 0xF6,
    reset = 0xFF,
};

// Ctrl, Alt and Del down, then up.
constexpr std::array<std::uint8_t, 8> keys_in_set_1{0x1D, 0x38, 0xE0, 0x53, 0xE0, 0xD3, 0xB8, 0x9D};
constexpr std::array<std::uint8_t, 11> keys_in_set_2{0x14, 0x11, 0xE0, 0x71, 0xE0, 0xF0,
                                                     0x71, 0xF0, 0x11, 0xF0, 0x14};

}  // namespace

void Keyboard::write(std::uint8_t value) noexcept {
    if (command_ != 0) {
        write_parameter(std::exchange(command_, std::uint8_t{0}), value);
        return;
    }
    switch (static_cast<Command>(value)) {
        case Command::set_leds:
        case Command::scan_code_set:
        case Command::set_rate:
            command_ = value;
            send(std::array{acknowledge});
            return;
        case Command::echo:
            send(std::array{value});
            return;
        case Command::identify:  // an MF2 keyboard
            send(std::array<std::uint8_t, 3>{acknowledge, 0xAB, 0x83});
            return;
        case Command::enable:
        case Command::disable:
            is_scanning_ = static_cast<Command>(value) == Command::enable;
            send(std::array{acknowledge});
            return;
        case Command::set_defaults:
            scan_code_set_ = 2;
            send(std::array{acknowledge});
            return;
        case Command::reset:
            to_send_.clear();
            scan_code_set_ = 2;
            is_scanning_ = true;
            send(std::array<std::uint8_t, 2>{acknowledge, self_test_passed});
            return;
    }
    send(std::array{resend});
}

void Keyboard::write_parameter(std::uint8_t command, std::uint8_t value) noexcept {
    if (static_cast<Command>(command) != Command::scan_code_set) {
        send(std::array{acknowledge});
        return;
    }
    if (value == 0) {  // which one is it?
        send(std::array{acknowledge, scan_code_set_});
        return;
    }
    if (value > 2) {  // no set 3
        send(std::array{resend});
        return;
    }
    scan_code_set_ = value;
    send(std::array{acknowledge});
}

// All of them or, where they do not fit, none.
bool Keyboard::send(std::span<const std::uint8_t> bytes) noexcept {
    if (to_send_.room() < bytes.size()) {
        ++dropped_;
        return false;
    }
    for (const std::uint8_t byte : bytes) {
        to_send_.push(std::byte{byte});
    }
    return true;
}

bool Keyboard::press_ctrl_alt_del(Translation translation) noexcept {
    if (!is_scanning_) {
        return false;
    }
    const bool set_1 = translation == Translation::to_set_1 || scan_code_set_ == 1;
    return set_1 ? send(keys_in_set_1) : send(keys_in_set_2);
}

KeyboardState Keyboard::save() const {
    return {command_, scan_code_set_, is_scanning_, to_send_.save()};
}

void Keyboard::restore(const KeyboardState& state) noexcept {
    command_ = state.command;
    scan_code_set_ = state.scan_code_set;
    is_scanning_ = state.is_scanning;
    to_send_.restore(state.to_send);
}

}  // namespace shoal::legacy
