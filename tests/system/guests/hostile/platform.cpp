// Ports and registers of the platform.
#include "tests/system/guests/hostile/platform.h"

#include <cstdint>

#include "devices/abi/address_map.h"
#include "tests/system/guests/hostile/registers.h"

namespace hostile {
namespace {

void write_port(std::uint16_t port, std::uint8_t value) {
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

std::uint8_t read_port(std::uint16_t port) {
    std::uint8_t value = 0;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

}  // namespace

void attack_platform(Random& random) {
    using namespace shoal::abi;
    constexpr std::uint32_t delivery_mode = 0x700;  // other than fixed: NMI, INIT
    constexpr std::uint16_t divisor_latch = 0x80;   // of the line control register
    for (std::uint32_t count = 0; count < 8; ++count) {
        store(ioapic_start, random.below(0x50));
        store(ioapic_start + 0x10, random.next32() & ~delivery_mode);
        // Not the transmitter.
        const auto offset = static_cast<std::uint16_t>(1 + random.below(7));
        write_port(serial_port + offset, static_cast<std::uint8_t>(random.next16()));
        write_port(i8042_port, static_cast<std::uint8_t>(random.next16()));
        store(boot_timer_start,
              random.one_in(2) ? boot_timer_magic : static_cast<std::uint8_t>(random.next16()));
        (void)read_port(static_cast<std::uint16_t>(serial_port + random.below(8)));
        (void)read_port(static_cast<std::uint16_t>(i8042_port + 4 * random.below(2)));
        (void)load<std::uint64_t>(ioapic_start + random.below(0x100));
    }
    write_port(serial_port + 3, divisor_latch);
}

}  // namespace hostile
