// Four descriptors (Intel SDM 3A, 3.4.5).
#include "firmware/gdt.h"

#include <array>

#include "devices/abi/address_map.h"
#include "devices/host/check.h"

namespace shoal::firmware {

void write_gdt(const machine::GuestMemory& memory) {
    constexpr std::array<std::uint64_t, 4> descriptors{
        0, 0,
        0x00AF'9B00'0000'FFFF,  // 64-bit code, ring 0
        0x00CF'9300'0000'FFFF,  // data, ring 0
    };
    static_assert(sizeof descriptors == gdt_limit + 1);
    SHOAL_CHECK(memory.write(machine::Gpa{abi::gdt_start}, descriptors));
}

}  // namespace shoal::firmware
