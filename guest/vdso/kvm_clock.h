// The KVM clock (Documentation/virt/kvm/x86/msr.rst), as the kernel and its vDSO read it.
#pragma once

#include <cstdint>

#include "guest/kernel/cpu.h"

namespace shoal::guest {

// What KVM writes; `version` is odd while it does.
struct alignas(32) SystemTime {
    volatile std::uint32_t version = 0;
    std::uint32_t padding = 0;
    volatile std::uint64_t tsc_timestamp = 0;
    volatile std::uint64_t system_time_ns = 0;
    volatile std::uint32_t tsc_to_system_mul = 0;
    volatile std::int8_t tsc_shift = 0;
    volatile std::uint8_t flags = 0;
    std::uint8_t padding2[2] = {};
};

// Nanoseconds of monotonic time.
inline std::uint64_t read_kvm_clock(const SystemTime& time) {
    __extension__ using Wide = unsigned __int128;
    while (true) {
        const std::uint32_t version = time.version;
        const std::uint64_t ticks = read_tsc() - time.tsc_timestamp;
        const std::int8_t shift = time.tsc_shift;
        const std::uint64_t shifted = shift >= 0 ? ticks << shift : ticks >> -shift;
        const auto ns =
            static_cast<std::uint64_t>((static_cast<Wide>(shifted) * time.tsc_to_system_mul) >> 32);
        const std::uint64_t now = time.system_time_ns + ns;
        if ((version & 1) == 0 && version == time.version) {
            return now;
        }
    }
}

// What the vDSO reads of the kernel's memory, which every program may read.
struct VdsoData {
    SystemTime system_time{};
    // Of monotonic time.
    volatile std::uint64_t wall_clock_at_start_ns = 0;
    // Not 0: the above is there. Else programs ask the kernel, whose first answer starts the clock.
    volatile std::uint32_t is_clock_ready = 0;
    // CPUs that programs run on.
    volatile std::uint32_t cpu_count = 1;
};

}  // namespace shoal::guest
