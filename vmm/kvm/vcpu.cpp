// A vCPU's ioctls, its CPUID, and the decoding of its exits.
#include "vmm/kvm/vcpu.h"

#include <algorithm>
#include <atomic>

#include "vmm/kvm/cpuid_table.h"
#include "vmm/kvm/emulated_cpu.h"
#include "vmm/kvm/ioctl.h"

namespace shoal::kvm {
namespace {

// struct kvm_msrs with one entry; like kvm_cpuid2 it has another size in C++ (cpuid_table.h).
struct OneMsr {
    std::uint32_t count;
    std::uint32_t padding;
    kvm_msr_entry entry;
};
constexpr unsigned long set_msrs = _IOW(KVMIO, 0x89, CpuidHead);

void set_cpuid(int fd, const Kvm& kvm, std::uint32_t idx, const CpuTopology& topology) {
    const auto& supported = kvm.supported_cpuid();
    CpuidTable table{static_cast<std::uint32_t>(supported.size())};
    std::ranges::copy(supported, table.entries().begin());
    for (kvm_cpuid_entry2& entry : table.entries()) {
        adapt_cpuid(entry, idx, topology);
    }
    call<set_cpuid2>(fd, "KVM_SET_CPUID2", table.head());
}

// TCG does not tell KVM of XSETBV: the guest writes XCR0, and KVM puts what it knows there at the
// next entry, the x87 alone. XSAVE leaves out the vector registers then, in which the dynamic
// linker saves a function's arguments. So KVM knows from the start what guests write.
void enable_vector_state(int fd, const Kvm& kvm) {
    constexpr std::uint32_t state_leaf = 0xD;
    const auto& supported = kvm.supported_cpuid();
    const auto leaf = std::ranges::find_if(supported, [](const kvm_cpuid_entry2& entry) {
        return entry.function == state_leaf && entry.index == 0;
    });
    if (leaf != supported.end()) {
        kvm_xcrs control{};
        control.nr_xcrs = 1;
        control.xcrs[0].value = std::uint64_t{leaf->edx} << 32 | leaf->eax;
        SHOAL_KVM_CALL(fd, KVM_SET_XCRS, &control);
    }
}

}  // namespace

Vcpu::Vcpu(const Vm& vm, std::uint32_t idx, const CpuTopology& topology)
    : kvm_{&vm.kvm()},
      xsave_bytes_{vm.xsave_bytes()},
      fd_{SHOAL_KVM_CALL(vm.fd(), KVM_CREATE_VCPU, idx)},
      run_{vm.kvm().run_size_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get()} {
    set_cpuid(fd_.get(), vm.kvm(), idx, topology);
    if (is_emulated_cpu()) {
        enable_vector_state(fd_.get(), vm.kvm());
    }
}

kvm_run& Vcpu::shared() const noexcept {
    // SAFETY: the kernel keeps a kvm_run at the start of the mapping.
    return *reinterpret_cast<kvm_run*>(run_.data());
}

Exit Vcpu::run() {
    if (::ioctl(fd_.get(), KVM_RUN, 0) < 0) {
        if (errno == EINTR || errno == EAGAIN) {
            return Interrupted{};
        }
        // KVM_EXIT_MEMORY_FAULT and broken memory come as an error.
        host::throw_os_error("KVM_RUN");
    }
    return decode();
}

Exit Vcpu::decode() const noexcept {
    kvm_run& run = shared();
    switch (run.exit_reason) {
        case KVM_EXIT_IO: {
            const auto direction = run.io.direction == KVM_EXIT_IO_OUT ? PortAccess::Direction::out
                                                                       : PortAccess::Direction::in;
            const std::size_t size = std::size_t{run.io.size} * run.io.count;
            return PortAccess{direction, run.io.port, run.io.size,
                              run_.bytes().subspan(run.io.data_offset, size)};
        }
        case KVM_EXIT_MMIO: {
            const auto direction =
                run.mmio.is_write != 0 ? MmioAccess::Direction::write : MmioAccess::Direction::read;
            return MmioAccess{direction, run.mmio.phys_addr,
                              std::as_writable_bytes(std::span{run.mmio.data}).first(run.mmio.len)};
        }
        case KVM_EXIT_SHUTDOWN:
        case KVM_EXIT_SYSTEM_EVENT:
            return Shutdown{};
        case KVM_EXIT_HLT:
            return Halt{};
        case KVM_EXIT_INTR:
            return Interrupted{};
        case KVM_EXIT_FAIL_ENTRY:
            return FailedEntry{run.fail_entry.hardware_entry_failure_reason};
        case KVM_EXIT_INTERNAL_ERROR: {
            InternalError error{run.internal.suberror, 0, {}};
            const auto& failure = run.emulation_failure;
            if (error.suberror == KVM_INTERNAL_ERROR_EMULATION && failure.ndata >= 3 &&
                (failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) != 0) {
                error.instruction_size = std::min<std::uint8_t>(failure.insn_size, 15);
                std::ranges::copy(failure.insn_bytes, error.instruction.begin());
            }
            return error;
        }
        default:
            return UnknownExit{run.exit_reason};
    }
}

void Vcpu::kick() noexcept {
    std::atomic_ref{shared().immediate_exit}.store(1, std::memory_order_relaxed);
}

void Vcpu::clear_kick() noexcept {
    std::atomic_ref{shared().immediate_exit}.store(0, std::memory_order_relaxed);
}

kvm_regs Vcpu::registers() const {
    kvm_regs registers{};
    SHOAL_KVM_CALL(fd_.get(), KVM_GET_REGS, &registers);
    return registers;
}

void Vcpu::set_registers(kvm_regs registers) {
    SHOAL_KVM_CALL(fd_.get(), KVM_SET_REGS, &registers);
}

kvm_sregs Vcpu::special_registers() const {
    kvm_sregs registers{};
    SHOAL_KVM_CALL(fd_.get(), KVM_GET_SREGS, &registers);
    return registers;
}

void Vcpu::set_msr(std::uint32_t idx, std::uint64_t value) noexcept {
    OneMsr msr{1, 0, {idx, 0, value}};
    ::ioctl(fd_.get(), set_msrs, &msr);
}

void Vcpu::make_runnable() {
    kvm_mp_state state{KVM_MP_STATE_RUNNABLE};
    SHOAL_KVM_CALL(fd_.get(), KVM_SET_MP_STATE, &state);
}

void Vcpu::tell_of_pause() noexcept {
    ::ioctl(fd_.get(), KVM_KVMCLOCK_CTRL, 0);  // EINVAL: it has none
}

void Vcpu::set_special_registers(kvm_sregs registers) {
    SHOAL_KVM_CALL(fd_.get(), KVM_SET_SREGS, &registers);
}

}  // namespace shoal::kvm
