// Fuzzes the PC's devices: serial port, keyboard controller and I/O APIC, wired to each other.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/host/check.h"
#include "devices/host/event_fd.h"
#include "devices/legacy/i8042.h"
#include "devices/legacy/ioapic.h"
#include "devices/legacy/serial.h"
#include "tests/fuzz/input.h"

using namespace shoal;

namespace {

struct Devices {
    void access(machine::BusDevice& device, std::uint64_t range, fuzz::Input& input) {
        const auto choice = input.take<std::uint8_t>();
        const std::size_t width = 1U << (choice & 3);
        const std::uint64_t offset = input.take<std::uint8_t>() % range;
        auto value = input.take<std::uint64_t>();
        if ((choice & 4) != 0) {
            device.write(offset, std::as_bytes(std::span{&value, 1}).first(width));
        } else {
            device.read(offset, std::as_writable_bytes(std::span{&value, 1}).first(width));
        }
    }
    void serve() {
        if (serial.wants_output()) {
            serial.on_output_ready();
        }
        if (serial.wants_input()) {
            serial.on_input_ready();
        }
    }
    void save_and_restore() {
        const legacy::SerialState serial_state = serial.save();
        serial.restore(serial_state);
        SHOAL_CHECK(serial.save() == serial_state);
        const legacy::I8042State i8042_state = i8042.save();
        i8042.restore(i8042_state);
        SHOAL_CHECK(i8042.save() == i8042_state);
        const legacy::IoApicState ioapic_state = ioapic.save();
        ioapic.restore(ioapic_state);
        SHOAL_CHECK(ioapic.save() == ioapic_state);
    }
    void restore_anything(fuzz::Input& input) {
        legacy::I8042State state;
        state.control = input.take<std::uint8_t>();
        state.controller_command = input.take<std::uint8_t>();
        state.keyboard.command = input.take<std::uint8_t>();
        state.keyboard.scan_code_set = input.take<std::uint8_t>();
        state.keyboard.to_send = std::vector<std::byte>(input.take<std::uint8_t>());
        i8042.restore(state);
        legacy::SerialState serial_state = serial.save();
        serial_state.received = std::vector<std::byte>(input.take<std::uint8_t>());
        serial_state.to_send = std::vector<std::byte>(input.take<std::uint16_t>());
        serial.restore(serial_state);
    }
    void step(fuzz::Input& input) {
        switch (input.take<std::uint8_t>() % 9) {
            case 0:
            case 1:
                return access(serial, legacy::Serial::port_count, input);
            case 2:
            case 3:
                return access(i8042, legacy::I8042::port_count, input);
            case 4:
                return access(ioapic, 0x20, input);
            case 5:
                return serve();
            case 6:
                return static_cast<void>(i8042.send_ctrl_alt_del());
            case 7:
                serial.set_rate_limit({input.take<std::uint8_t>(), 0, input.take<std::uint8_t>()});
                return save_and_restore();
            default:
                return restore_anything(input);
        }
    }

    unsigned resets = 0;
    std::uint64_t messages = 0;
    host::EventFd wake;
    legacy::IoApic ioapic{[this](legacy::Message message) {
        // Nothing but a message to a local APIC ever leaves.
        SHOAL_CHECK(message.address >> 20 == 0xFEE);
        ++messages;
    }};
    legacy::IoApic::Line serial_irq{ioapic, abi::serial_gsi};
    legacy::IoApic::Line i8042_irq{ioapic, abi::i8042_gsi};
    legacy::Serial serial{serial_irq, wake, backend::InputStream{-1}, backend::OutputStream{-1}};
    legacy::I8042 i8042{i8042_irq, [this] { ++resets; }};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    fuzz::Input input{data, size_bytes};
    Devices devices;
    while (!input.empty()) {
        devices.step(input);
    }
    return 0;
}
