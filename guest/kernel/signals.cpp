// Signal delivery: the frame on the program's stack is laid out as Linux does on x86-64, since C
// libraries and unwinders read it.
#include "guest/kernel/signals.h"

#include <signal.h>
#include <ucontext.h>

#include <cstddef>
#include <cstring>

#include "guest/kernel/process.h"

namespace shoal::guest {
namespace {

struct alignas(16) SignalFrame {
    std::uint64_t return_address;
    ucontext_t context;
    siginfo_t info;
};

constexpr std::uint64_t red_zone_bytes = 128;
constexpr std::uint64_t fpu_bytes = 512;           // FXSAVE area
constexpr std::uint64_t restorable_flags = 0xDD5;  // CF PF AF ZF SF TF DF OF
constexpr std::uint64_t unblockable = 1ULL << (SIGKILL - 1) | 1ULL << (SIGSTOP - 1);

std::uint64_t bit(unsigned number) {
    return 1ULL << (number - 1);
}

bool is_ignored_by_default(unsigned number) {
    return number == SIGCHLD || number == SIGURG || number == SIGWINCH || number == SIGCONT;
}

void save_registers(const Registers& r, gregset_t& to) {
    to[REG_R8] = static_cast<greg_t>(r.r8);
    to[REG_R9] = static_cast<greg_t>(r.r9);
    to[REG_R10] = static_cast<greg_t>(r.r10);
    to[REG_R11] = static_cast<greg_t>(r.r11);
    to[REG_R12] = static_cast<greg_t>(r.r12);
    to[REG_R13] = static_cast<greg_t>(r.r13);
    to[REG_R14] = static_cast<greg_t>(r.r14);
    to[REG_R15] = static_cast<greg_t>(r.r15);
    to[REG_RDI] = static_cast<greg_t>(r.rdi);
    to[REG_RSI] = static_cast<greg_t>(r.rsi);
    to[REG_RBP] = static_cast<greg_t>(r.rbp);
    to[REG_RBX] = static_cast<greg_t>(r.rbx);
    to[REG_RDX] = static_cast<greg_t>(r.rdx);
    to[REG_RAX] = static_cast<greg_t>(r.rax);
    to[REG_RCX] = static_cast<greg_t>(r.rcx);
    to[REG_RSP] = static_cast<greg_t>(r.rsp);
    to[REG_RIP] = static_cast<greg_t>(r.rip);
    to[REG_EFL] = static_cast<greg_t>(r.rflags);
}

void restore_registers(const gregset_t& from, Registers& r) {
    r.r8 = static_cast<std::uint64_t>(from[REG_R8]);
    r.r9 = static_cast<std::uint64_t>(from[REG_R9]);
    r.r10 = static_cast<std::uint64_t>(from[REG_R10]);
    r.r11 = static_cast<std::uint64_t>(from[REG_R11]);
    r.r12 = static_cast<std::uint64_t>(from[REG_R12]);
    r.r13 = static_cast<std::uint64_t>(from[REG_R13]);
    r.r14 = static_cast<std::uint64_t>(from[REG_R14]);
    r.r15 = static_cast<std::uint64_t>(from[REG_R15]);
    r.rdi = static_cast<std::uint64_t>(from[REG_RDI]);
    r.rsi = static_cast<std::uint64_t>(from[REG_RSI]);
    r.rbp = static_cast<std::uint64_t>(from[REG_RBP]);
    r.rbx = static_cast<std::uint64_t>(from[REG_RBX]);
    r.rdx = static_cast<std::uint64_t>(from[REG_RDX]);
    r.rax = static_cast<std::uint64_t>(from[REG_RAX]);
    r.rcx = static_cast<std::uint64_t>(from[REG_RCX]);
    r.rsp = static_cast<std::uint64_t>(from[REG_RSP]);
    r.rip = static_cast<std::uint64_t>(from[REG_RIP]);
    r.rflags = (static_cast<std::uint64_t>(from[REG_EFL]) & restorable_flags) | 0x202;
}

}  // namespace

void Signals::set_blocked(std::uint64_t mask) {
    blocked_ = mask & ~unblockable;
}

void Signals::set_mask_during_call(std::uint64_t mask) {
    mask_before_call_ = blocked_;
    set_blocked(mask);
}

void Signals::restore_mask() {
    if (mask_before_call_) {
        blocked_ = *mask_before_call_;
        mask_before_call_.reset();
    }
}

std::optional<SignalInfo> Signals::take(std::uint64_t set) {
    if ((pending_ & set) == 0) {
        return std::nullopt;
    }
    const auto number = static_cast<unsigned>(__builtin_ctzll(pending_ & set)) + 1;
    pending_ &= ~bit(number);
    return SignalInfo{number, SI_TKILL, 1};
}

void Signals::send(unsigned number) {
    pending_ |= bit(number);
    sent_.wake_all();
}

void Signals::deliver_fault(Registers& registers, const SignalInfo& info) {
    const bool caught = action(info.number).handler > 1 && (blocked_ & bit(info.number)) == 0;
    if (!caught || !enter_handler(registers, info)) {
        die_of_fault(info, registers);
    }
}

bool Signals::deliver_pending(Registers& registers) {
    bool changed = false;
    while ((pending_ & ~blocked_) != 0) {
        const auto number = static_cast<unsigned>(__builtin_ctzll(pending_ & ~blocked_)) + 1;
        pending_ &= ~bit(number);
        const std::uint64_t handler = action(number).handler;
        if (handler == 1 || (handler == 0 && is_ignored_by_default(number))) {
            continue;
        }
        if (handler == 0 || !enter_handler(registers, {number, SI_TKILL, 1})) {
            die_of_signal(number);
        }
        changed = true;
    }
    restore_mask();
    return changed;
}

bool Signals::enter_handler(Registers& registers, const SignalInfo& info) {
    SignalAction& chosen = action(info.number);
    std::uint64_t top = registers.rsp - red_zone_bytes;
    const bool on_alternate = registers.rsp - stack_.address < stack_.size_bytes;
    if ((chosen.flags & SA_ONSTACK) != 0 && (stack_.flags & 2) == 0 && !on_alternate) {
        top = stack_.address + stack_.size_bytes;
    }
    const std::uint64_t fpu = (top - fpu_bytes) & ~63ULL;
    // At the handler's first instruction rsp + 8 is a multiple of 16, as after a call.
    const std::uint64_t at = ((fpu - sizeof(SignalFrame)) & ~15ULL) - 8;
    if (!process().memory.resolve_all(at, top - at, Access::write)) {
        return false;
    }
    asm volatile("fxsave64 (%0)" : : "r"(fpu) : "memory");
    SignalFrame frame{};
    frame.return_address = chosen.restorer;
    save_registers(registers, frame.context.uc_mcontext.gregs);
    frame.context.uc_mcontext.gregs[REG_RIP] =
        static_cast<greg_t>(process().patcher.program_address(registers.rip));
    frame.context.uc_mcontext.fpregs = reinterpret_cast<fpregset_t>(fpu);
    frame.context.uc_mcontext.gregs[REG_CSGSFS] = NUB_USER_CS | static_cast<greg_t>(NUB_USER_SS)
                                                                    << 48;
    frame.context.uc_mcontext.gregs[REG_CR2] = static_cast<greg_t>(info.address);
    const std::uint64_t mask_afterwards = mask_before_call_.value_or(blocked_);
    mask_before_call_.reset();
    std::memcpy(&frame.context.uc_sigmask, &mask_afterwards, sizeof mask_afterwards);
    frame.context.uc_stack.ss_sp = reinterpret_cast<void*>(stack_.address);
    frame.context.uc_stack.ss_flags = static_cast<int>(stack_.flags);
    frame.context.uc_stack.ss_size = stack_.size_bytes;
    frame.info.si_signo = static_cast<int>(info.number);
    frame.info.si_code = info.code;
    if (info.code == SI_TKILL) {
        frame.info.si_pid = static_cast<int>(info.address);
    } else {
        frame.info.si_addr = reinterpret_cast<void*>(info.address);
    }
    std::memcpy(reinterpret_cast<void*>(at), &frame, sizeof frame);

    blocked_ =
        (blocked_ | chosen.mask | ((chosen.flags & SA_NODEFER) != 0 ? 0 : bit(info.number))) &
        ~unblockable;
    registers.rdi = info.number;
    registers.rsi = at + offsetof(SignalFrame, info);
    registers.rdx = at + offsetof(SignalFrame, context);
    registers.rax = 0;
    registers.rip = chosen.handler;
    registers.rsp = at;
    registers.rflags = 0x202;
    if ((chosen.flags & SA_RESETHAND) != 0) {
        chosen.handler = 0;
    }
    return true;
}

bool Signals::return_from_handler(Registers& registers) {
    const std::uint64_t at = registers.rsp - 8;  // the restorer's call took return_address
    if (!process().memory.resolve_all(at, sizeof(SignalFrame), Access::read)) {
        return false;
    }
    SignalFrame frame;
    std::memcpy(&frame, reinterpret_cast<const void*>(at), sizeof frame);
    const auto fpu = reinterpret_cast<std::uint64_t>(frame.context.uc_mcontext.fpregs);
    if (fpu != 0) {
        if (fpu % 16 != 0 || !process().memory.resolve_all(fpu, fpu_bytes, Access::read)) {
            return false;
        }
        // Reserved MXCSR bits would fault in the kernel.
        std::uint32_t control = 0;
        std::memcpy(&control, reinterpret_cast<const void*>(fpu + 24), sizeof control);
        if ((control & ~0xFFFFU) != 0) {
            return false;
        }
        asm volatile("fxrstor64 (%0)" : : "r"(fpu) : "memory");
    }
    std::uint64_t mask = 0;
    std::memcpy(&mask, &frame.context.uc_sigmask, sizeof mask);
    set_blocked(mask);
    restore_registers(frame.context.uc_mcontext.gregs, registers);
    return registers.rip < user_end;
}

}  // namespace shoal::guest
