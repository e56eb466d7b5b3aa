// The KVM clock (Documentation/virt/kvm/x86/msr.rst), the TSC deadline timer, the I/O APIC.
#include "guest/kernel/clock.h"

#include <algorithm>

#include "devices/abi/address_map.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/page_table.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/kernel/vdso.h"
#include "guest/nub/nub.h"

namespace {

// What KVM writes besides (kvm_clock.h).
struct alignas(16) WallClock {
    volatile std::uint32_t version;
    volatile std::uint32_t seconds;
    volatile std::uint32_t nanoseconds;
};

}  // namespace

extern "C" {
constinit WallClock shoal_wall_clock{};  // the nub knows its place
}

namespace shoal::guest {
namespace {

__extension__ using Wide = unsigned __int128;  // products of two 64-bit numbers

constexpr std::uint32_t kvm_leaf = 0x4000'0000;
constexpr std::uint32_t kvm_signature = 0x4B4D'564B;  // "KVMK"
constexpr std::uint32_t clocksource2_bit = 1U << 3;
constexpr std::uint8_t tsc_stable_bit = 1U << 0;  // of the flags: time stamps of all CPUs compare
constexpr std::uint64_t msr_tsc_deadline = 0x6E0;

constinit bool has_kvm_clock = false;
constinit bool clock_started = false;
constinit std::uint64_t tsc_at_start = 0;
constinit std::uint64_t tsc_khz = 1'000'000;
constinit std::uint64_t device_interrupts = 0;
// The TSC deadline timer may be early by the difference of two clocks.
constexpr std::uint64_t timer_slack_ns = 1'000'000;
constexpr std::uint64_t poll_step_ns = 20'000;
constexpr std::uint64_t timer_slack_divisor = 1024;  // in relation to the time it was set for

// The clock is the first CPU's; others read it by time-stamp counters of their own.
std::uint64_t in_order(std::uint64_t ns) {
    static constinit std::uint64_t last_ns = 0;
    if (!several_cpus()) {
        return ns;
    }
    last_ns = std::max(last_ns, ns);
    return last_ns;
}

// TSC ticks in so many nanoseconds; the inverse of what read_kvm_clock() does.
std::uint64_t ticks_in(std::uint64_t ns) {
    if (!has_kvm_clock) {
        return static_cast<std::uint64_t>(static_cast<Wide>(ns) * tsc_khz / 1'000'000);
    }
    const auto ticks = (static_cast<Wide>(ns) << 32) / vdso_data.system_time.tsc_to_system_mul;
    const std::int8_t shift = vdso_data.system_time.tsc_shift;
    return static_cast<std::uint64_t>(shift >= 0 ? ticks >> shift : ticks << -shift);
}

}  // namespace

void enable_interrupts() {
    Cpu& cpu = this_cpu();
    if (cpu.has_apic) {
        return;
    }
    cpu.has_apic = true;
    shoal_nub_call(NUB_ENABLE_INTERRUPTS);
}

constinit VdsoData vdso_data;

void tell_vdso() {
    const bool same_on_all = (vdso_data.system_time.flags & tsc_stable_bit) != 0;
    vdso_data.cpu_count = several_cpus() ? cpu_count() : 1;
    vdso_data.is_clock_ready = has_kvm_clock && (same_on_all || !several_cpus()) ? 1 : 0;
}

void start_clock() {
    clock_started = true;
    const CpuidResult signature = cpuid(kvm_leaf);
    has_kvm_clock =
        signature.ebx == kvm_signature && (cpuid(kvm_leaf + 1).eax & clocksource2_bit) != 0;
    tsc_at_start = read_tsc();
    if (!has_kvm_clock) {
        if (const CpuidResult frequency = cpuid(0x16); cpuid(0).eax >= 0x16 && frequency.eax != 0) {
            tsc_khz = std::uint64_t{frequency.eax} * 1000;
        }
        return;
    }
    shoal_nub_call(NUB_START_CLOCK);
    vdso_data.wall_clock_at_start_ns =
        shoal_wall_clock.seconds * nanoseconds_per_second + shoal_wall_clock.nanoseconds;
    tell_vdso();
}

std::uint64_t monotonic_ns() {
    if (!clock_started) {
        start_clock();
    }
    if (has_kvm_clock) {
        return in_order(read_kvm_clock(vdso_data.system_time));
    }
    return static_cast<std::uint64_t>(static_cast<Wide>(read_tsc() - tsc_at_start) * 1'000'000 /
                                      tsc_khz);
}

std::uint64_t realtime_ns() {
    const std::uint64_t now = monotonic_ns();
    return vdso_data.wall_clock_at_start_ns + now;
}

std::uint64_t tsc_frequency_khz() {
    if (!clock_started) {
        start_clock();
    }
    return ticks_in(1'000'000);
}

std::uint64_t nanoseconds_in(std::uint64_t ticks) {
    if (!clock_started) {
        start_clock();
    }
    const SystemTime& time = vdso_data.system_time;
    if (!has_kvm_clock) {
        return static_cast<std::uint64_t>(static_cast<Wide>(ticks) * 1'000'000 / tsc_khz);
    }
    const std::int8_t shift = time.tsc_shift;
    const Wide shifted = shift >= 0 ? static_cast<Wide>(ticks) << shift : ticks >> -shift;
    return static_cast<std::uint64_t>(shifted * time.tsc_to_system_mul >> 32);
}

void wait_for_interrupt() {
    if (several_cpus()) {
        // It may come to another CPU, which waits for the kernel's lock.
        const std::uint64_t start = read_tsc();
        while (shoal_interrupt_pending == 0 && read_tsc() - start < ticks_in(poll_step_ns)) {
            asm volatile("pause");
        }
        return;
    }
    shoal_nub_call(NUB_WAIT);
    take_interrupts();
}

void restore_interrupts() {
    if (this_cpu().has_apic) {
        shoal_nub_call(NUB_ENABLE_INTERRUPTS);
    }
}

bool take_interrupts() {
    const std::uint8_t marks = __atomic_exchange_n(&shoal_interrupt_pending, 0, __ATOMIC_RELAXED);
    if ((marks & (NUB_MARK_TIMER | NUB_MARK_OTHER)) == 0) {
        return false;
    }
    device_interrupts += (marks & NUB_MARK_OTHER) != 0 ? 1 : 0;
    Cpu& cpu = this_cpu();
    if (cpu.timer_ns != 0) {
        const std::uint64_t slack =
            timer_slack_ns + (cpu.timer_ns - cpu.timer_set_ns) / timer_slack_divisor;
        cpu.timer_ns = monotonic_ns() + slack >= cpu.timer_ns ? 0 : cpu.timer_ns;
    }
    return true;
}

std::uint64_t interrupts_of_devices() {
    return device_interrupts;
}

std::uint64_t prepare_timer(std::uint64_t deadline_ns) {
    const std::uint64_t now = monotonic_ns();
    Cpu& cpu = this_cpu();
    if (cpu.timer_ns != 0 && cpu.timer_ns <= deadline_ns) {
        return 0;
    }
    enable_interrupts();
    cpu.timer_set_ns = now;
    cpu.timer_ns = std::max(deadline_ns, now + 1);
    return read_tsc() + ticks_in(cpu.timer_ns - now);
}

void set_timer(std::uint64_t deadline_ns) {
    if (const std::uint64_t time_stamp = prepare_timer(deadline_ns); time_stamp != 0) {
        shoal_nub_call(NUB_WRITE_MSR, msr_tsc_deadline, time_stamp);
    }
}

void wait_until(std::uint64_t deadline_ns) {
    if (monotonic_ns() < deadline_ns) {
        set_timer(deadline_ns);
        wait_for_interrupt();
    }
}

void enable_interrupt(std::uint32_t pin) {
    enable_interrupts();
    auto* registers =
        static_cast<volatile std::uint32_t*>(map_kernel_ram(abi::ioapic_start, page_size));
    registers[0] = 0x10 + 2 * pin;                 // I/O APIC: register select, then its data
    registers[4] = NUB_FIRST_DEVICE_VECTOR + pin;  // fixed, physical, edge, not masked
    registers[0] = 0x11 + 2 * pin;
    registers[4] = 0;  // to CPU 0
}

}  // namespace shoal::guest
