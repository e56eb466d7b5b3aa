// The end, on the serial port and through the exit device: works when nothing else does.
#include "guest/kernel/panic.h"

#include <string_view>

#include "devices/abi/address_map.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/message.h"

namespace shoal::guest {
namespace {

constexpr std::uint32_t exit_panic = 255;

void write_serial(std::string_view text) {
    for (const char c : text) {
        out8(abi::serial_port, static_cast<std::uint8_t>(c));
    }
}

}  // namespace

void panic(const char* sentence, std::uint64_t number) {
    Message text;
    text << "shoal kernel: " << sentence << " ";
    text.hex(number) << "\n";
    write_serial(text.view());
    power_off(exit_panic);
}

void power_off(std::uint32_t exit_code) {
    while (true) {
        out32(abi::exit_port, exit_code);
    }
}

}  // namespace shoal::guest
