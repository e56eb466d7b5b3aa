// The console's devices behind the one interface that files see.
#include "guest/kernel/console.h"

#include <optional>

#include "devices/abi/address_map.h"
#include "guest/drivers/virtio_console.h"
#include "guest/kernel/clock.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/process.h"
#include "guest/kernel/sched/scheduler.h"

namespace shoal::guest {
namespace {

// The serial port, polled: for machines without a virtio console.
class SerialConsole final : public ConsoleDevice, public EventSource {
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
        std::size_t count = 0;
        while (count < to.size() && has_input()) {
            to[count++] = std::byte{in8(abi::serial_port)};
        }
        return count != 0 || to.empty() ? Result<std::size_t>{count} : fail(Errno::again);
    }

    bool has_input() override { return (in8(abi::serial_port + line_status) & data_ready) != 0; }

    WaitQueue& input_queue() override {
        if (!interrupts_on_) {
            interrupts_on_ = true;
            add_event_source(*this);
            enable_interrupt(abi::serial_gsi);
            out8(abi::serial_port + interrupt_enable, receive_interrupt);
        }
        return input_queue_;
    }

    void take_events() override {
        if (!input_queue_.empty() && has_input()) {
            input_queue_.wake_all();
        }
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

    std::uint32_t ttys_;
    bool interrupts_on_ = false;
    WaitQueue input_queue_;
};

// The virtio console, set up when it is first used.
class VirtioConsoleDevice final : public ConsoleDevice, public EventSource {
public:
    VirtioConsoleDevice(const VirtioMmioPlace& place, std::uint32_t ttys)
        : place_{place}, ttys_{ttys} {}

    Result<std::size_t> write(ConsoleStream stream, std::span<const std::byte> bytes) override {
        driver().write(stream == ConsoleStream::error ? 1 : 0, bytes);
        return bytes.size();
    }

    Result<std::size_t> read(std::span<std::byte> to) override {
        if (!has_input()) {
            return fail(Errno::again);
        }
        announced_ = false;
        return driver().read(to);
    }

    bool has_input() override { return driver().has_input() || driver().at_end(); }

    // The device may raise its interrupt a moment after its input was seen and announced: it is
    // acknowledged here once more, or there would be no further one.
    WaitQueue& input_queue() override {
        if (!expects_input_) {
            expects_input_ = true;
            add_event_source(*this);
            driver().expect_input();
        } else if (acknowledges_again_) {
            driver().acknowledge_interrupt();
        }
        acknowledges_again_ = false;
        return input_queue_;
    }

    // Once for what came since the last read(): an access to the device costs an exit.
    void take_events() override {
        if (!announced_ && has_input()) {
            announced_ = acknowledges_again_ = true;
            driver().acknowledge_interrupt();
            input_queue_.wake_all();
        }
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
    bool expects_input_ = false;
    bool announced_ = false;
    bool acknowledges_again_ = false;
    WaitQueue input_queue_;
    std::optional<VirtioConsole> driver_;
};

constinit ConsoleDevice* device = nullptr;

}  // namespace

ConsoleDevice& start_console(const CommandLine& command_line,
                             std::span<const VirtioMmioDevice> devices) {
    const std::uint32_t ttys = command_line.tty_streams;
    if (!command_line.console.starts_with("ttyS")) {
        if (const auto place = first_place(devices, abi::virtio::device_id::console)) {
            device = new VirtioConsoleDevice{*place, ttys};
            return *device;
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
