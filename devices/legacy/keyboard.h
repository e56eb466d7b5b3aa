// Keyboard: a PS/2 keyboard that only the host types on, behind the I8042.
//
// It answers commands as far as Linux's atkbd driver gives them. What it sends waits in a buffer of
// a real keyboard's size; what does not fit as a whole is not sent.
// Source: IBM PS/2 Hardware Interface Technical Reference (Keyboards). No locks: the controller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/legacy/byte_queue.h"

namespace shoal::legacy {

struct KeyboardState {
    std::uint8_t command = 0;  // that waits for its parameter; 0: none
    std::uint8_t scan_code_set = 0;
    bool is_scanning = false;
    std::vector<std::byte> to_send;

    friend bool operator==(const KeyboardState&, const KeyboardState&) = default;
};

class Keyboard {
public:
    enum class Translation { none, to_set_1 };  // by the controller

    // A byte from the driver: a command or its parameter.
    void write(std::uint8_t value) noexcept;
    // Presses and releases the three keys. False: it does not scan, or they do not fit.
    [[nodiscard]] bool press_ctrl_alt_del(Translation translation) noexcept;

    [[nodiscard]] bool empty() const noexcept { return to_send_.empty(); }
    // It is not empty.
    std::byte pop() noexcept { return to_send_.pop(); }
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }

    [[nodiscard]] KeyboardState save() const;
    void restore(const KeyboardState& state) noexcept;

private:
    void write_parameter(std::uint8_t command, std::uint8_t value) noexcept;
    bool send(std::span<const std::uint8_t> bytes) noexcept;

    static constexpr std::size_t buffer_bytes = 16;

    std::uint8_t command_ = 0;
    std::uint8_t scan_code_set_ = 2;
    bool is_scanning_ = true;
    std::uint64_t dropped_ = 0;
    ByteQueue<buffer_bytes> to_send_;
};

}  // namespace shoal::legacy
