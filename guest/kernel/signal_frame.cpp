// Laid out as Linux does on x86-64, since C libraries and unwinders read it.
#include "guest/kernel/signal_frame.h"

#include <signal.h>
#include <ucontext.h>

#include <cstddef>
#include <cstring>

#include "guest/kernel/process.h"
#include "guest/kernel/sched/thread.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest {
namespace {

struct alignas(16) SignalFrame {
    std::uint64_t return_address;
    ucontext_t context;
    siginfo_t info;
};

constexpr std::uint64_t red_zone_bytes = 128;
// What tells user space that an XSAVE area follows the FXSAVE one (<asm/sigcontext.h>).
constexpr std::size_t software_bytes_offset = 464;
constexpr std::uint32_t extended_magic_end = FP_XSTATE_MAGIC2;
constexpr std::uint64_t extended_features = 0xE7;
constexpr std::uint64_t restorable_flags = 0xDD5;  // CF PF AF ZF SF TF DF OF

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

bool is_on_stack(const SignalStack& stack, std::uint64_t address) {
    return (stack.flags & SS_DISABLE) == 0 && address - stack.address < stack.size_bytes;
}

// Where the handler's frame may end, on the alternate stack if it shall be there.
std::uint64_t frame_top(const Thread& thread, const SignalAction& action) {
    const SignalStack& stack = thread.signals.stack;
    const std::uint64_t rsp = thread.registers().rsp;
    const bool change = (action.flags & SA_ONSTACK) != 0 && (stack.flags & SS_DISABLE) == 0 &&
                        !is_on_stack(stack, rsp);
    return change ? stack.address + stack.size_bytes : rsp - red_zone_bytes;
}

// The thread's vector registers, to and from the program's memory, which is accessible.
void put_vectors(Thread& thread, std::uint64_t at) {
    const std::size_t size = used_vector_state_bytes();
    thread.vectors.save();
    std::memcpy(reinterpret_cast<void*>(at), thread.vectors.bytes.data(), size);
    if (size == vector_state_bytes) {
        const _fpx_sw_bytes words{FP_XSTATE_MAGIC1,
                                  static_cast<std::uint32_t>(size + sizeof extended_magic_end),
                                  extended_features,
                                  static_cast<std::uint32_t>(size),
                                  {}};
        std::memcpy(reinterpret_cast<void*>(at + software_bytes_offset), &words, sizeof words);
        std::memcpy(reinterpret_cast<void*>(at + size), &extended_magic_end,
                    sizeof extended_magic_end);
    }
}

bool take_vectors(Thread& thread, std::uint64_t at) {
    const std::size_t size = used_vector_state_bytes();
    if (at % 64 != 0 || !copy_from_user(thread.vectors.bytes.data(), at, size) ||
        !thread.vectors.make_restorable()) {
        return false;
    }
    thread.vectors.restore();
    return true;
}

void fill_info(siginfo_t& to, const SignalInfo& info) {
    to.si_signo = static_cast<int>(info.number);
    to.si_code = info.code;
    std::memcpy(reinterpret_cast<std::byte*>(&to) + 16, &info.address, sizeof info.address);
    std::memcpy(reinterpret_cast<std::byte*>(&to) + 24, &info.value, sizeof info.value);
}

}  // namespace

bool enter_handler(Thread& thread, const SignalInfo& info) {
    ThreadSignals& signals = thread.signals;
    Registers& registers = thread.registers();
    SignalAction& chosen = thread.process->signals.action(info.number);
    const std::uint64_t top = frame_top(thread, chosen);
    const std::uint64_t fpu =
        (top - used_vector_state_bytes() - sizeof extended_magic_end) & ~63ULL;
    // At the handler's first instruction rsp + 8 is a multiple of 16, as after a call.
    const std::uint64_t at = ((fpu - sizeof(SignalFrame)) & ~15ULL) - 8;
    if (!thread.process->memory->resolve_all(at, top - at, Access::write)) {
        return false;
    }
    put_vectors(thread, fpu);
    SignalFrame frame{};
    frame.return_address = chosen.restorer;
    save_registers(registers, frame.context.uc_mcontext.gregs);
    frame.context.uc_mcontext.gregs[REG_RIP] =
        static_cast<greg_t>(thread.process->memory->patcher.program_address(registers.rip));
    frame.context.uc_mcontext.fpregs = reinterpret_cast<fpregset_t>(fpu);
    frame.context.uc_mcontext.gregs[REG_CSGSFS] = NUB_USER_CS | static_cast<greg_t>(NUB_USER_SS)
                                                                    << 48;
    frame.context.uc_mcontext.gregs[REG_CR2] = static_cast<greg_t>(info.address);
    const std::uint64_t mask = signals.mask_before_call.value_or(signals.blocked);
    signals.mask_before_call.reset();
    std::memcpy(&frame.context.uc_sigmask, &mask, sizeof mask);
    frame.context.uc_stack.ss_sp = reinterpret_cast<void*>(signals.stack.address);
    frame.context.uc_stack.ss_flags = static_cast<int>(signals.stack.flags);
    frame.context.uc_stack.ss_size = signals.stack.size_bytes;
    fill_info(frame.info, info);
    std::memcpy(reinterpret_cast<void*>(at), &frame, sizeof frame);

    const bool defers = (chosen.flags & SA_NODEFER) == 0;
    thread.process->signals.set_blocked(signals.blocked | chosen.mask |
                                        (defers ? signal_bit(info.number) : 0));
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

bool return_from_handler(Registers& registers) {
    const std::uint64_t at = registers.rsp - 8;  // the restorer's call took return_address
    if (!process().memory->resolve_all(at, sizeof(SignalFrame), Access::read)) {
        return false;
    }
    SignalFrame frame;
    std::memcpy(&frame, reinterpret_cast<const void*>(at), sizeof frame);
    const auto fpu = reinterpret_cast<std::uint64_t>(frame.context.uc_mcontext.fpregs);
    if (fpu != 0 && !take_vectors(current_thread(), fpu)) {
        return false;
    }
    std::uint64_t mask = 0;
    std::memcpy(&mask, &frame.context.uc_sigmask, sizeof mask);
    process().signals.set_blocked(mask);
    restore_registers(frame.context.uc_mcontext.gregs, registers);
    return registers.rip < user_end;
}

}  // namespace shoal::guest
