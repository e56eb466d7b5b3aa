// The UART's registers, interrupts and queues.
#include "devices/legacy/serial.h"

#include <algorithm>
#include <array>

namespace shoal::legacy {
namespace {

// Registers by offset; with the divisor latch open, 0 and 1 are the divisor.
enum class Register : std::uint64_t {
    data = 0,                      // r: received byte, w: byte to send
    interrupt_enable = 1,          // rw
    interrupt_identification = 2,  // r; w: FIFO control
    line_control = 3,              // rw
    modem_control = 4,             // rw
    line_status = 5,               // r
    modem_status = 6,              // r
    scratch = 7,                   // rw
};

constexpr std::uint8_t enable_received = 0x01;
constexpr std::uint8_t enable_transmitter_empty = 0x02;
constexpr std::uint8_t enable_mask = 0x0F;

constexpr std::uint8_t identify_none = 0x01;
constexpr std::uint8_t identify_transmitter_empty = 0x02;
constexpr std::uint8_t identify_received = 0x04;
constexpr std::uint8_t identify_fifos = 0xC0;

constexpr std::uint8_t fifo_enable = 0x01;
constexpr std::uint8_t fifo_clear_receiver = 0x02;

constexpr std::uint8_t line_divisor_latch = 0x80;

constexpr std::uint8_t modem_loopback = 0x10;
constexpr std::uint8_t modem_mask = 0x1F;

constexpr std::uint8_t status_data_ready = 0x01;
constexpr std::uint8_t status_transmitter_empty = 0x60;  // holding register and shift register

constexpr std::uint8_t modem_connected = 0xB0;  // clear to send, data set ready, carrier

}  // namespace

void Serial::read(std::uint64_t offset, std::span<std::byte> data) noexcept {
    const std::scoped_lock lock{mutex_};
    std::ranges::fill(data, std::byte{0xFF});
    data[0] = std::byte{read_register(offset)};
}

void Serial::write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
    const std::scoped_lock lock{mutex_};
    write_register(offset, std::to_integer<std::uint8_t>(data[0]));
}

std::uint8_t Serial::read_register(std::uint64_t offset) noexcept {
    const bool latch = (line_control_ & line_divisor_latch) != 0;
    switch (static_cast<Register>(offset)) {
        case Register::data: {
            if (latch) {
                return static_cast<std::uint8_t>(divisor_ & 0xFF);
            }
            if (received_.empty()) {
                ++metrics_.missed_read_count;
                return 0;
            }
            const auto byte = std::to_integer<std::uint8_t>(received_.pop());
            update_interrupt();
            if (received_.empty()) {
                wake_.signal();  // there is room for more
            }
            return byte;
        }
        case Register::interrupt_enable:
            return latch ? static_cast<std::uint8_t>(divisor_ >> 8) : interrupt_enable_;
        case Register::interrupt_identification: {
            const std::uint8_t pending = pending_interrupt();
            if (pending == identify_transmitter_empty) {
                transmit_interrupt_ = false;  // reading it acknowledges it
            }
            return static_cast<std::uint8_t>(
                pending | ((fifo_control_ & fifo_enable) != 0 ? identify_fifos : 0));
        }
        case Register::line_control:
            return line_control_;
        case Register::modem_control:
            return modem_control_;
        case Register::line_status: {
            const std::uint8_t status = line_status();
            transmitter_was_busy_ = (status & status_transmitter_empty) == 0;
            return status;
        }
        case Register::modem_status:
            return modem_status();
        case Register::scratch:
            return scratch_;
    }
    return 0xFF;
}

void Serial::write_register(std::uint64_t offset, std::uint8_t value) noexcept {
    const bool latch = (line_control_ & line_divisor_latch) != 0;
    switch (static_cast<Register>(offset)) {
        case Register::data:
            if (latch) {
                divisor_ = static_cast<std::uint16_t>((divisor_ & 0xFF00) | value);
            } else {
                transmit(std::byte{value});
            }
            return;
        case Register::interrupt_enable:
            if (latch) {
                divisor_ = static_cast<std::uint16_t>((divisor_ & 0xFF) | value << 8);
                return;
            }
            // Enabling the transmitter's interrupt while it is empty makes it due at once.
            if ((value & ~interrupt_enable_ & enable_transmitter_empty) != 0 &&
                is_transmitter_ready()) {
                transmit_interrupt_ = true;
            }
            interrupt_enable_ = value & enable_mask;
            update_interrupt();
            return;
        case Register::interrupt_identification:
            fifo_control_ = value;
            if ((value & fifo_clear_receiver) != 0) {
                received_.clear();
            }
            return;
        case Register::line_control:
            line_control_ = value;
            return;
        case Register::modem_control:
            modem_control_ = value & modem_mask;
            return;
        case Register::scratch:
            scratch_ = value;
            return;
        case Register::line_status:
        case Register::modem_status:
            return;  // read-only
    }
}

void Serial::transmit(std::byte byte) noexcept {
    if ((modem_control_ & modem_loopback) != 0) {
        loop_back(byte);
        return;
    }
    if (to_send_.room() == 0) {
        ++metrics_.missed_write_count;
        return;
    }
    if (is_over_limit()) {
        ++metrics_.rate_limiter_dropped_bytes;
    } else {
        if (to_send_.empty()) {
            wake_.signal();
        }
        to_send_.push(byte);
        ++metrics_.write_count;
    }
    if (is_transmitter_ready()) {
        transmit_interrupt_ = true;
        update_interrupt();
    } else {
        transmitter_was_busy_ = true;
    }
}

void Serial::loop_back(std::byte byte) noexcept {
    if (received_.room() > 0) {
        received_.push(byte);
        update_interrupt();
    }
}

// "Empty" promises a driver that a whole FIFO may be written.
bool Serial::is_transmitter_ready() const noexcept {
    return to_send_.room() >= fifo_bytes;
}

std::uint8_t Serial::line_status() const noexcept {
    return static_cast<std::uint8_t>((received_.empty() ? 0 : status_data_ready) |
                                     (is_transmitter_ready() ? status_transmitter_empty : 0));
}

std::uint8_t Serial::modem_status() const noexcept {
    if ((modem_control_ & modem_loopback) == 0) {
        return modem_connected;
    }
    // Loopback: RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD.
    const std::uint8_t m = modem_control_;
    return static_cast<std::uint8_t>((m & 2) << 3 | (m & 1) << 5 | (m & 4) << 4 | (m & 8) << 4);
}

std::uint8_t Serial::pending_interrupt() const noexcept {
    if (!received_.empty() && (interrupt_enable_ & enable_received) != 0) {
        return identify_received;
    }
    if (transmit_interrupt_ && (interrupt_enable_ & enable_transmitter_empty) != 0) {
        return identify_transmitter_empty;
    }
    return identify_none;
}

void Serial::update_interrupt() noexcept {
    if (pending_interrupt() != identify_none) {
        irq_.raise();
    }
}

bool Serial::wants_input() const noexcept {
    const std::scoped_lock lock{mutex_};
    return !input_ended_ && received_.empty() && (modem_control_ & modem_loopback) == 0;
}

bool Serial::wants_output() const noexcept {
    const std::scoped_lock lock{mutex_};
    return !to_send_.empty();
}

void Serial::on_input_ready() noexcept {
    std::array<std::byte, fifo_bytes> buffer;
    const std::scoped_lock lock{mutex_};
    const backend::ReadResult result = input_.try_read(std::span{buffer}.first(received_.room()));
    input_ended_ = result.status == backend::ReadStatus::end_of_file;
    for (std::size_t i = 0; i < result.size_bytes; ++i) {
        received_.push(buffer[i]);
    }
    metrics_.read_count += result.size_bytes;
    update_interrupt();
}

void Serial::on_output_ready() noexcept {
    const std::scoped_lock lock{mutex_};
    while (!to_send_.empty()) {
        const std::size_t sent = output_.try_write(to_send_.front());
        if (sent == 0) {
            break;
        }
        to_send_.drop(sent);
    }
    if (transmitter_was_busy_ && to_send_.room() >= output_wake_room) {
        transmitter_was_busy_ = false;
        transmit_interrupt_ = true;
        update_interrupt();
    }
}

}  // namespace shoal::legacy
