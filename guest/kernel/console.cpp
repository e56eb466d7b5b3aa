// The console's devices behind the one interface that files see.
#include "guest/kernel/console.h"

#include <optional>

#include "devices/abi/address_map.h"
#include "guest/drivers/virtio_console.h"
#include "guest/kernel/clock.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/process.h"

namespace shoal::guest {
namespace {

// The serial port, polled: for machines without a virtio console.
class SerialConsole final : public ConsoleDevice {
public:
    explicit SerialConsole(std::uint32_t ttys) : ttys_{ttys} {}

    Result<std::size_t> write(ConsoleStream, std::span<const std::byte> bytes) override {
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            if (i % fifo_bytes == 0) {
                while ((in8(abi::serial_port + line_status) & transmitter_empty) == 0) {
                    asm volatile("pause");
                }
            }
            out8(abi::serial_port, std::to_integer<std::uint8_t>(bytes[i]));
        }
        return bytes.size();
    }

    Result<std::size_t> read(std::span<std::byte> to) override {
        static_cast<void>(wait_for_input(UINT64_MAX));
        std::size_t count = 0;
        while (count < to.size() && has_input()) {
            to[count++] = std::byte{in8(abi::serial_port)};
        }
        return count;
    }

    bool wait_for_input(std::uint64_t timeout_ns) override {
        if (!interrupts_on_) {
            interrupts_on_ = true;
            enable_interrupt(abi::serial_gsi);
            out8(abi::serial_port + interrupt_enable, receive_interrupt);
        }
        const std::uint64_t start = monotonic_ns();
        while (!has_input()) {
            if (timeout_ns == UINT64_MAX) {
                wait_for_interrupt();
            } else if (monotonic_ns() - start >= timeout_ns) {
                return false;
            } else {
                wait_until(start + timeout_ns);
            }
        }
        return true;
    }

    [[nodiscard]] bool is_tty(ConsoleStream stream) const override {
        return (ttys_ >> static_cast<unsigned>(stream) & 1) != 0;
    }
    [[nodiscard]] WindowSize window_size() const override { return {}; }

private:
    static constexpr std::uint16_t interrupt_enable = 1;
    static constexpr std::uint16_t line_status = 5;
    static constexpr std::uint8_t receive_interrupt = 0x01;
    static constexpr std::uint8_t data_ready = 0x01;
    static constexpr std::uint8_t transmitter_empty = 0x20;
    static constexpr std::size_t fifo_bytes = 16;

    [[nodiscard]] static bool has_input() {
        return (in8(abi::serial_port + line_status) & data_ready) != 0;
    }

    std::uint32_t ttys_;
    bool interrupts_on_ = false;
};

// The virtio console, set up when it is first used.
class VirtioConsoleDevice final : public ConsoleDevice {
public:
    VirtioConsoleDevice(const VirtioMmioPlace& place, std::uint32_t ttys)
        : place_{place}, ttys_{ttys} {}

    Result<std::size_t> write(ConsoleStream stream, std::span<const std::byte> bytes) override {
        driver().write(stream == ConsoleStream::error ? 1 : 0, bytes);
        return bytes.size();
    }

    Result<std::size_t> read(std::span<std::byte> to) override {
        static_cast<void>(wait_for_input(UINT64_MAX));
        return driver().read(to);
    }

    bool wait_for_input(std::uint64_t timeout_ns) override {
        VirtioConsole& console = driver();
        const auto is_ready = [&] { return console.has_input() || console.at_end(); };
        if (is_ready() || timeout_ns == 0) {
            return is_ready();
        }
        console.expect_input();
        const std::uint64_t start = timeout_ns == UINT64_MAX ? 0 : monotonic_ns();
        while (!is_ready()) {
            if (timeout_ns == UINT64_MAX) {
                wait_for_interrupt();
            } else if (monotonic_ns() - start >= timeout_ns) {
                return false;
            } else {
                wait_until(start + timeout_ns);
            }
            console.acknowledge_interrupt();
        }
        return true;
    }

    [[nodiscard]] bool is_tty(ConsoleStream stream) const override {
        return (ttys_ >> static_cast<unsigned>(stream) & 1) != 0;
    }
    [[nodiscard]] WindowSize window_size() const override { return {}; }

    // Output that is queued; nothing when the device was never used.
    void flush() {
        if (driver_) {
            driver_->flush();
        }
    }

private:
    VirtioConsole& driver() {
        if (!driver_) {
            driver_.emplace(place_);
        }
        return *driver_;
    }

    VirtioMmioPlace place_;
    std::uint32_t ttys_;
    std::optional<VirtioConsole> driver_;
};

constinit ConsoleDevice* device = nullptr;

}  // namespace

ConsoleDevice& start_console(const CommandLine& command_line,
                             std::span<const VirtioMmioDevice> devices) {
    const std::uint32_t ttys = command_line.tty_streams;
    if (!command_line.console.starts_with("ttyS")) {
        for (const VirtioMmioDevice& found : devices) {
            if (found.device_id == abi::virtio::device_id::console) {
                device = new VirtioConsoleDevice{found.place, ttys};
                return *device;
            }
        }
    }
    // A serial port is a terminal unless somebody said otherwise.
    device = new SerialConsole{ttys};
    return *device;
}

void flush_console() {}

void print_message(std::string_view text) {
    for (auto bytes = std::as_bytes(std::span{text}); !bytes.empty();) {
        const auto written = device->write(ConsoleStream::error, bytes);
        if (!written) {
            return;
        }
        bytes = bytes.subspan(*written);
    }
}

}  // namespace shoal::guest
