// Faults and traps at ring 3: pages are brought in, the rest becomes a signal.
#include <signal.h>

#include "guest/kernel/clock.h"
#include "guest/kernel/panic.h"
#include "guest/kernel/process.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/kernel/sched/thread.h"
#include "guest/nub/nub.h"

extern "C" {
SHOAL_PER_CPU constinit NubTrapState shoal_trap_state{};
extern const char nub_syscall[];
extern const char shoal_syscall_entry[];
}

namespace shoal::guest {
namespace {

// Exception vectors (Intel SDM 3A, 6.15).
enum class Vector : std::uint64_t {
    divide_error = 0,
    debug = 1,
    breakpoint = 3,
    overflow = 4,
    invalid_opcode = 6,
    general_protection = 13,
    page_fault = 14,
    x87_error = 16,
    alignment_check = 17,
    simd_error = 19,
};

constexpr std::uint64_t fault_present = 1;
constexpr std::uint64_t fault_write = 2;
constexpr std::uint64_t fault_fetch = 16;
constexpr std::uint64_t msr_lstar = 0xC000'0082;

Access access_of(std::uint64_t error_code) {
    if ((error_code & fault_fetch) != 0) {
        return Access::execute;
    }
    return (error_code & fault_write) != 0 ? Access::write : Access::read;
}

// The backend leaves a syscall at CPL 3, where the nub's entry point cannot be executed: the
// kernel's own takes its place. rcx and r11 are still as `syscall` left them.
void take_syscalls(Registers& registers) {
    const auto entry = reinterpret_cast<std::uint64_t>(shoal_syscall_entry);
    if (shoal_nub_call(NUB_WRITE_MSR, msr_lstar, entry) != NUB_OK) {
        panic("cannot take over system calls");
    }
    restore_interrupts();  // the first syscall turned them off
    registers.rip = entry;
}

// Where a page that is there was last written in vain, and the page.
constinit std::uint64_t write_fault_rip = 0;
constinit std::uint64_t write_fault_page = 0;

// An instruction that writes to the page it lies in, of memory that is writable and executable:
// once for each it would fault for ever.
bool writes_to_itself(std::uint64_t rip, std::uint64_t address, Access access) {
    const std::uint64_t page = address & ~(page_size - 1);
    if (access == Access::write) {
        write_fault_rip = rip;
        write_fault_page = page;
    }
    return access == Access::execute && rip == write_fault_rip && page == write_fault_page;
}

void handle_page_fault(Registers& registers, std::uint64_t address, std::uint64_t error_code) {
    if (registers.rip == reinterpret_cast<std::uint64_t>(nub_syscall)) {
        take_syscalls(registers);
        return;
    }
    if (registers.rip >= user_end) {
        panic("the kernel faulted at", registers.rip);
    }
    const Access access = access_of(error_code);
    if ((error_code & fault_present) != 0 && writes_to_itself(registers.rip, address, access)) {
        deliver_fault({SIGSEGV, SEGV_ACCERR, address});
        return;
    }
    process().memory->bring_in(address);
    switch (process().memory->resolve(address, access)) {
        case FaultResult::resolved:
            return;
        case FaultResult::bad_address: {
            const bool mapped = (error_code & fault_present) != 0;
            deliver_fault({SIGSEGV, mapped ? SEGV_ACCERR : SEGV_MAPERR, address});
            return;
        }
        case FaultResult::past_end_of_file:
            deliver_fault({SIGBUS, BUS_ADRERR, address});
            return;
        case FaultResult::out_of_memory:
            print_message("shoal: out of memory: the program needs more than the microVM has\n");
            die_of_signal(SIGKILL);
    }
}

SignalInfo signal_of(Vector vector, std::uint64_t rip) {
    switch (vector) {
        case Vector::divide_error:
            return {SIGFPE, FPE_INTDIV, rip};
        case Vector::x87_error:
        case Vector::simd_error:
            return {SIGFPE, FPE_FLTINV, rip};
        case Vector::debug:
        case Vector::breakpoint:
            return {SIGTRAP, TRAP_BRKPT, rip};
        case Vector::invalid_opcode:
            return {SIGILL, ILL_ILLOPN, rip};
        case Vector::alignment_check:
            return {SIGBUS, BUS_ADRALN, 0};
        case Vector::overflow:
        case Vector::general_protection:
        case Vector::page_fault:
            break;
    }
    return {SIGSEGV, SI_KERNEL, 0};
}

}  // namespace
}  // namespace shoal::guest

extern "C" void shoal_handle_trap(shoal::guest::Registers* registers) {
    using namespace shoal::guest;
    const NubTrapState state = shoal_trap_state;
    const KernelLock lock;
    const auto vector = static_cast<Vector>(state.vector);
    current_thread().call = Thread::no_call;
    if (vector == Vector::page_fault) {
        handle_page_fault(*registers, state.fault_address, state.error_code);
        return;
    }
    if (state.vector == NUB_INTERRUPT) {
        return;  // the way out looks
    }
    if (registers->rip >= user_end) {
        panic("the kernel trapped at", registers->rip);
    }
    if (vector == Vector::breakpoint && process().memory->patcher.resolve_breakpoint(*registers)) {
        return;
    }
    deliver_fault(signal_of(vector, registers->rip));
}
