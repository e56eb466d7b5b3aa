// Starting CPUs, calling them, stopping them.
#include "guest/kernel/sched/cpus.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "guest/kernel/clock.h"
#include "guest/kernel/page_table.h"
#include "guest/kernel/panic.h"
#include "guest/kernel/physical_memory.h"
#include "guest/kernel/sched/cpu_time.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/kernel/sched/thread.h"

extern "C" {
extern const volatile std::uint32_t shoal_cpus_given;  // by the monitor (nub/entry.S)
constinit NubStop shoal_stop{};
constinit bool shoal_several_cpus = false;
}

namespace shoal::guest {
namespace {

constexpr std::uint64_t msr_x2apic_command = 0x830;
constexpr unsigned destination_shift = 32;

constinit std::array<Cpu, NUB_CPUS> cpus{{{.runs = true}}};
SHOAL_PER_CPU constinit Cpu* this_one = cpus.data();
constinit std::uint32_t lock = 0;  // 1: taken
enum class Standing { none, space, all };
constinit Standing others = Standing::none;

void send(const Cpu& cpu, std::uint64_t vector) {
    shoal_nub_call(NUB_WRITE_MSR, msr_x2apic_command,
                   std::uint64_t{cpu.index} << destination_shift | vector);
}

void relax() {
    asm volatile("pause" : : : "memory");
}

// False when memory is gone.
bool start(Cpu& cpu, std::uint32_t index) {
    auto* page = static_cast<std::byte*>(physical_memory.allocate_page());
    if (page == nullptr) {
        return false;
    }
    std::memcpy(page, reinterpret_cast<const void*>(NUB_CPU_KERNEL_PAGE), page_size);
    cpu.index = index;
    in_page(page, this_one) = &cpu;
    in_page(page, shoal_interrupt_pending) = 0;
    cpu.idle = make_idle_thread();
    if (cpu.idle == nullptr) {
        return false;
    }
    start_with(*cpu.idle, page);
    return shoal_nub_call(NUB_START_CPU, index, physical_address(page)) == NUB_OK;
}

}  // namespace

Cpu& this_cpu() {
    return *this_one;
}

const Cpu& cpu_of(std::uint32_t index) {
    return cpus[index];
}

std::uint32_t cpu_count() {
    const std::uint32_t given = shoal_cpus_given;
    return std::clamp<std::uint32_t>(given, 1, NUB_CPUS);
}

void start_other_cpus() {
    if (several_cpus() || cpu_count() == 1) {
        return;
    }
    this_one->idle = make_idle_thread();
    if (this_one->idle == nullptr) {
        return;
    }
    enable_interrupts();
    lock = 1;
    shoal_several_cpus = true;
    tell_vdso();
    for (std::uint32_t index = 1; index < cpu_count() && start(cpus[index], index); ++index) {
        send(cpus[index], NUB_WAKE_VECTOR);
    }
}

void take_kernel_lock() {
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE) != 0) {
        while (__atomic_load_n(&lock, __ATOMIC_RELAXED) != 0) {
            relax();
        }
    }
}

void give_kernel_lock() {
    if (others != Standing::none) {
        flush_pages();
    }
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

void halt_cpu(std::uint64_t timer) {
    Cpu& self = this_cpu();
    self.is_idle = true;
    count_cpu_time();
    unlock_kernel();
    shoal_nub_call(NUB_WAIT, timer);
    lock_kernel();
    skip_cpu_time();
    self.is_idle = false;
    if (self.has_old_pages) {
        self.has_old_pages = false;
        shoal_nub_call(NUB_FLUSH);
    }
}

void call_cpu(Cpu& cpu) {
    cpu.is_idle = false;
    send(cpu, NUB_WAKE_VECTOR);
}

bool call_idle_cpu() {
    const auto idle = std::ranges::find_if(cpus, &Cpu::is_idle);
    if (idle == cpus.end()) {
        return false;
    }
    call_cpu(*idle);
    return true;
}

bool others_are_idle() {
    return std::ranges::all_of(
        cpus, [](const Cpu& cpu) { return !cpu.runs || cpu.is_idle || &cpu == this_one; });
}

void call_busy_cpu() {
    const auto busy = std::ranges::find_if(
        cpus, [](const Cpu& cpu) { return cpu.runs && &cpu != this_one && cpu.timer_ns == 0; });
    if (busy != cpus.end()) {
        call_cpu(*busy);
    }
}

void stop_others(Stop which) {
    const Standing wanted = which == Stop::all ? Standing::all : Standing::space;
    if (!several_cpus() || others >= wanted) {
        return;
    }
    let_others_go();
    others = wanted;
    std::uint32_t count = 0;
    const auto is_concerned = [&](const Cpu& cpu) {
        return cpu.runs && &cpu != this_one && (which == Stop::all || cpu.space == this_one->space);
    };
    for (Cpu& cpu : cpus) {
        if (!is_concerned(cpu)) {
            continue;
        }
        if (cpu.is_idle) {
            cpu.has_old_pages = true;
            continue;
        }
        if (count++ == 0) {
            while (shoal_stop.stopped != 0) {  // since the last time: on their way out
                relax();
            }
            shoal_stop.wanted = 1;
        }
        send(cpu, NUB_STOP_VECTOR);
    }
    while (shoal_stop.stopped != count) {
        relax();
    }
}

void let_others_go() {
    others = Standing::none;
    __atomic_store_n(&shoal_stop.wanted, 0, __ATOMIC_RELEASE);
}

}  // namespace shoal::guest

// A CPU's first steps at ring 3, on the stack of its idle thread.
extern "C" [[noreturn]] void shoal_cpu_main() {
    using namespace shoal::guest;
    asm volatile("fninit");
    lock_kernel();
    skip_cpu_time();
    this_cpu().runs = true;
    enable_interrupts();
    idle();
}

// Before a thread's first instruction: it comes from the scheduler.
extern "C" void shoal_leave_kernel() {
    shoal::guest::unlock_kernel();
}
