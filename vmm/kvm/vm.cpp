// The machine's ioctls.
#include "vmm/kvm/vm.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "devices/abi/address_map.h"
#include "devices/host/check.h"
#include "devices/host/clock.h"
#include "vmm/kvm/ioctl.h"

namespace shoal::kvm {

Vm::Vm(const Kvm& kvm) : kvm_{kvm}, fd_{SHOAL_KVM_CALL(kvm.fd(), KVM_CREATE_VM)} {
    // Intel hosts without unrestricted guest mode need these pages; others take no notice.
    std::uint64_t identity_map = abi::kvm_identity_map;
    if (kvm.has(KVM_CAP_SET_IDENTITY_MAP_ADDR)) {
        SHOAL_KVM_CALL(fd_.get(), KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
    }
    if (kvm.has(KVM_CAP_SET_TSS_ADDR)) {
        SHOAL_KVM_CALL(fd_.get(), KVM_SET_TSS_ADDR, abi::kvm_tss);
    }
}

void Vm::set_memory(const machine::GuestMemory& memory, DirtyLogging logging) {
    std::uint32_t slot = 0;
    for (const machine::RamRegion& region : memory.regions()) {
        kvm_userspace_memory_region wanted{};
        wanted.slot = slot++;
        wanted.flags = logging == DirtyLogging::on ? KVM_MEM_LOG_DIRTY_PAGES : 0;
        wanted.guest_phys_addr = region.start.value();
        wanted.memory_size = region.bytes.size();
        // SAFETY: KVM takes the host address as a number.
        wanted.userspace_addr = reinterpret_cast<std::uint64_t>(region.bytes.data());
        SHOAL_KVM_CALL(fd_.get(), KVM_SET_USER_MEMORY_REGION, &wanted);
    }
}

void Vm::create_local_apics() {
    kvm_enable_cap wanted{};
    wanted.cap = KVM_CAP_SPLIT_IRQCHIP;
    wanted.args[0] = abi::ioapic_pins;
    SHOAL_KVM_CALL(fd_.get(), KVM_ENABLE_CAP, &wanted);
}

void Vm::signal(std::uint64_t address, std::uint32_t data) const noexcept {
    kvm_msi message{};
    message.address_lo = static_cast<std::uint32_t>(address);
    message.address_hi = static_cast<std::uint32_t>(address >> 32);
    message.data = data;
    // Fails only when the guest named no CPU that exists: its own loss.
    ::ioctl(fd_.get(), KVM_SIGNAL_MSI, &message);
}

void Vm::add_irqfd(const host::EventFd& event, std::uint32_t gsi) {
    kvm_irqfd wanted{};
    wanted.fd = static_cast<std::uint32_t>(event.fd());
    wanted.gsi = gsi;
    SHOAL_KVM_CALL(fd_.get(), KVM_IRQFD, &wanted);
}

bool Vm::set_routes(std::span<const Route> routes) const noexcept {
    SHOAL_CHECK(routes.size() <= abi::ioapic_pins);
    // kvm_irq_routing as C lays it out; its size, and so the request, are others in C++ (see
    // cpuid_table.h).
    constexpr std::size_t head_bytes = 8;
    constexpr unsigned long set_gsi_routing = _IOC(_IOC_WRITE, KVMIO, 0x6A, head_bytes);
    struct {
        std::uint32_t count;
        std::uint32_t flags;
        std::array<kvm_irq_routing_entry, abi::ioapic_pins> entries;
    } table{};
    static_assert(offsetof(decltype(table), entries) == head_bytes);
    for (const Route& route : routes) {
        kvm_irq_routing_entry& entry = table.entries[table.count++];
        entry.gsi = route.gsi;
        entry.type = KVM_IRQ_ROUTING_MSI;
        entry.u.msi.address_lo = static_cast<std::uint32_t>(route.address);
        entry.u.msi.address_hi = static_cast<std::uint32_t>(route.address >> 32);
        entry.u.msi.data = route.data;
    }
    return ::ioctl(fd_.get(), set_gsi_routing, &table) == 0;
}

void Vm::add_ioeventfd(machine::Gpa address, const host::EventFd& event) {
    kvm_ioeventfd wanted{};
    wanted.addr = address.value();
    wanted.len = sizeof(std::uint32_t);
    wanted.fd = event.fd();
    SHOAL_KVM_CALL(fd_.get(), KVM_IOEVENTFD, &wanted);
}

std::size_t Vm::xsave_bytes() const noexcept {
    constexpr int legacy_bytes = 4096;  // of KVM_GET_XSAVE
    const int size = ::ioctl(fd_.get(), KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
    return static_cast<std::size_t>(std::max(size, legacy_bytes));
}

// KVM tells both of one moment, unless the guest's TSCs differ.
ClockState Vm::clock() const {
    kvm_clock_data data{};
    SHOAL_KVM_CALL(fd_.get(), KVM_GET_CLOCK, &data);
    return {data.clock,
            (data.flags & KVM_CLOCK_REALTIME) != 0 ? data.realtime : host::realtime_ns()};
}

void Vm::set_clock(std::uint64_t guest_ns) {
    kvm_clock_data data{};
    data.clock = guest_ns;
    SHOAL_KVM_CALL(fd_.get(), KVM_SET_CLOCK, &data);
}

}  // namespace shoal::kvm
