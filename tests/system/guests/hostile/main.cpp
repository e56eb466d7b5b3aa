// A guest whose only purpose is to harm its monitor. Its command line says
//
//   hostile.seed=N hostile.rounds=N hostile.cpus=1|2
//
// and it ends, if nothing else ends it, with `code_survived` on the exit device.
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "devices/abi/pvh.h"
#include "tests/system/guests/hostile/attacker.h"

extern "C" char trampoline[];
extern "C" char trampoline_end[];
extern "C" [[noreturn]] void first_main(const shoal::abi::pvh::StartInfo* info);
extern "C" [[noreturn]] void second_main();

namespace hostile {
namespace {

constexpr std::uint32_t code_survived = 42;
constexpr std::uint32_t code_no_devices = 43;
constexpr std::uint64_t trampoline_page = 0x8000;

std::uint64_t seed = 1;
std::uint64_t rounds = 100;
std::uint32_t device_count = 0;
volatile bool second_is_done = false;

// The number after `name` in `text`, or `otherwise`.
std::uint64_t option(const char* text, const char* name, std::uint64_t otherwise) {
    for (; *text != '\0'; ++text) {
        std::size_t length = 0;
        while (name[length] != '\0' && text[length] == name[length]) {
            ++length;
        }
        if (name[length] == '\0') {
            std::uint64_t value = 0;
            for (text += length; *text >= '0' && *text <= '9'; ++text) {
                value = value * 10 + static_cast<std::uint64_t>(*text - '0');
            }
            return value;
        }
    }
    return otherwise;
}

[[noreturn]] void end(std::uint32_t code) {
    asm volatile("outl %0, %1" : : "a"(code), "Nd"(shoal::abi::exit_port));
    for (;;) {
        asm volatile("cli; hlt");
    }
}

std::uint32_t count_devices() {
    using namespace shoal::abi;
    std::uint32_t count = 0;
    while (count < max_virtio_devices &&
           load<std::uint32_t>(virtio_mmio_start + count * virtio_mmio_size) ==
               virtio::mmio_magic) {
        ++count;
    }
    return count;
}

void attack(std::uint32_t vcpu) {
    Attacker attacker{vcpu, 2 * seed + vcpu, device_count};
    for (std::uint64_t round = 0; round < rounds; ++round) {
        attacker.round();
    }
}

// INIT and start-up through the interrupt command register (Intel SDM volume 3, 9.4 and 11.6).
void start_second() {
    constexpr std::uint64_t spurious_vector = shoal::abi::local_apic_start + 0x0F0;
    constexpr std::uint64_t command_low = shoal::abi::local_apic_start + 0x300;
    constexpr std::uint64_t command_high = shoal::abi::local_apic_start + 0x310;
    constexpr std::uint32_t init = 0x4500;
    constexpr std::uint32_t start_up = 0x4600;
    store(spurious_vector, 0x1FFU);  // switched on: a silent one need not send anything
    const std::ptrdiff_t size = trampoline_end - trampoline;
    for (std::ptrdiff_t idx = 0; idx < size; ++idx) {
        at<volatile char>(trampoline_page)[idx] = trampoline[idx];
    }
    for (const std::uint32_t command :
         {init, start_up | static_cast<std::uint32_t>(trampoline_page >> 12)}) {
        store(command_high, 1U << 24);
        store(command_low, command);
    }
}

void find_ram_end(const shoal::abi::pvh::StartInfo& info) {
    const auto* const map = at<const shoal::abi::pvh::MemoryMapEntry>(info.memory_map);
    for (std::uint32_t idx = 0; idx < info.memory_map_count; ++idx) {
        if (map[idx].type == shoal::abi::pvh::MemoryType::ram) {
            ram_end = map[idx].start + map[idx].size_bytes;
        }
    }
}

}  // namespace
}  // namespace hostile

void first_main(const shoal::abi::pvh::StartInfo* info) {
    using namespace hostile;
    const char* const words = at<const char>(info->command_line);
    seed = option(words, "hostile.seed=", seed);
    rounds = option(words, "hostile.rounds=", rounds);
    const bool has_second = option(words, "hostile.cpus=", 1) == 2;
    find_ram_end(*info);
    device_count = count_devices();
    if (device_count == 0) {
        end(code_no_devices);
    }
    if (has_second) {
        start_second();
    }
    attack(0);
    while (has_second && !second_is_done) {
        asm volatile("pause");
    }
    end(code_survived);
}

void second_main() {
    hostile::attack(1);
    hostile::second_is_done = true;
    for (;;) {
        asm volatile("cli; hlt");
    }
}
