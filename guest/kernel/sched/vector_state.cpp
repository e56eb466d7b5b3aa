// XSAVE and the FSGSBASE instructions are allowed at ring 3; CPUs without them get the older ways.
#include "guest/kernel/sched/vector_state.h"

#include <cstring>

#include "guest/kernel/cpu.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/nub/nub.h"

namespace shoal::guest {
namespace {

constexpr std::uint64_t msr_fs_base = 0xC000'0100;
constexpr std::uint16_t initial_control_word = 0x37F;
constexpr std::uint32_t initial_mxcsr = 0x1F80;

constexpr std::size_t mxcsr_offset = 24;
constexpr std::uint32_t mxcsr_mask = 0xFFFF;
constexpr std::size_t legacy_bytes = 512;
constexpr std::size_t header_bytes = 64;

// x87, SSE, AVX, AVX-512: what the nub enables; a KVM backend may have more in XCR0.
constexpr std::uint32_t components = 0xE7;

constexpr std::uint32_t sse_component = 2;

std::uint32_t enabled_components() {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

// OSXSAVE alone does not tell: where an emulator loses what the nub wrote to XCR0, XSAVE would
// leave the SSE registers out.
bool has_xsave() {
    const bool enabled = (cpuid(1).ecx >> 27 & 1) != 0;
    return enabled && (enabled_components() & sse_component) != 0;
}

struct Features {
    bool xsave = has_xsave();
    bool fsgsbase = cpuid(0).eax >= 7 && (cpuid(7).ebx & 1) != 0;
};

// Asked for when it is first needed: a program with one thread needs none of it, and CPUID may
// cost an exit.
const Features& features() {
    static const Features found;
    return found;
}

SHOAL_PER_CPU constinit std::uint64_t fs_base_without_instructions = 0;

}  // namespace

void VectorState::set_initial() {
    bytes = {};
    std::memcpy(bytes.data(), &initial_control_word, sizeof initial_control_word);
    std::memcpy(bytes.data() + mxcsr_offset, &initial_mxcsr, sizeof initial_mxcsr);
}

void VectorState::save() {
    if (features().xsave) {
        asm volatile("xsave64 (%0)" : : "r"(this), "a"(components), "d"(0) : "memory");
    } else {
        asm volatile("fxsave64 (%0)" : : "r"(this) : "memory");
    }
}

void VectorState::restore() const {
    if (features().xsave) {
        asm volatile("xrstor64 (%0)" : : "r"(this), "a"(components), "d"(0) : "memory");
    } else {
        asm volatile("fxrstor64 (%0)" : : "r"(this) : "memory");
    }
}

// The header of the XSAVE area (Intel SDM 1, 13.4.2): XSTATE_BV within XCR0, everything else 0.
bool VectorState::make_restorable() {
    std::uint32_t mxcsr = 0;
    std::memcpy(&mxcsr, bytes.data() + mxcsr_offset, sizeof mxcsr);
    if ((mxcsr & ~mxcsr_mask) != 0) {
        return false;
    }
    if (features().xsave) {
        std::uint64_t present = 0;
        std::memcpy(&present, bytes.data() + legacy_bytes, sizeof present);
        present &= enabled_components() & components;
        std::memset(bytes.data() + legacy_bytes, 0, header_bytes);
        std::memcpy(bytes.data() + legacy_bytes, &present, sizeof present);
    }
    return true;
}

std::size_t used_vector_state_bytes() {
    return features().xsave ? vector_state_bytes : legacy_bytes;
}

std::uint64_t fs_base() {
    if (!features().fsgsbase) {
        return fs_base_without_instructions;
    }
    std::uint64_t address = 0;
    asm volatile("rdfsbase %0" : "=r"(address));
    return address;
}

void set_fs_base(std::uint64_t address) {
    if (features().fsgsbase) {
        asm volatile("wrfsbase %0" : : "r"(address));
        return;
    }
    fs_base_without_instructions = address;
    shoal_nub_call(NUB_WRITE_MSR, msr_fs_base, address);
}

std::uint64_t gs_base() {
    std::uint64_t address = 0;
    if (features().fsgsbase) {
        asm volatile("rdgsbase %0" : "=r"(address));
    }
    return address;
}

void set_gs_base(std::uint64_t address) {
    if (features().fsgsbase) {
        asm volatile("wrgsbase %0" : : "r"(address));
    }
}

}  // namespace shoal::guest
