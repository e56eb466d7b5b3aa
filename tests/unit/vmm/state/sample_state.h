// A microVM's state with something in every field that has a choice.
#pragma once

#include "vmm/state/microvm_file.h"

namespace shoal::state::testing {

inline kvm::VcpuState sample_vcpu() {
    kvm::VcpuState vcpu;
    vcpu.cpuid = {{1, 0, 1, 2, 3, 4, 5, {}}, {7, 1, 1, 6, 7, 8, 9, {}}};
    vcpu.mp_state.mp_state = 3;
    vcpu.registers.rax = 0x0123'4567'89AB'CDEF;
    vcpu.registers.rflags = 2;
    vcpu.special_registers.cs.base = 0x1000;
    vcpu.special_registers.cs.padding = 9;
    vcpu.special_registers.interrupt_bitmap[3] = 5;
    vcpu.xsave.assign(576, std::byte{7});
    vcpu.extended_control.nr_xcrs = 1;
    vcpu.extended_control.xcrs[0].value = 7;
    vcpu.debug_registers.dr7 = 0x400;
    vcpu.local_apic[32] = std::byte{1};
    vcpu.msrs = {{0x10, 0, 1234}, {0x6E0, 0, 5678}};
    vcpu.events.exception.error_code = 3;
    vcpu.events.exception_payload = 4;
    vcpu.tsc_khz = 2'000'000;
    return vcpu;
}

inline vmm::MicrovmConfig sample_config() {
    vmm::MicrovmConfig config;
    config.machine.vcpu_count = 2;
    config.machine.mem_size_mib = 64;
    config.boot_source = vmm::BootSourceConfig{"kernel", std::nullopt, "quiet"};
    vmm::DriveConfig drive;
    drive.drive_id = "root";
    drive.path_on_host = "disk";
    drive.io_engine = vmm::IoEngine::async;
    drive.rate_limiter = backend::RateLimiterConfig{backend::TokenBucketConfig{1, 2, 3}, {}};
    config.drives.push_back(drive);
    config.network_interfaces.push_back(
        {"net", "tap", vmm::MacAddress{2, 0, 0, 0, 0, 1}, std::uint16_t{1400}, {}, {}});
    config.vsock = vmm::VsockConfig{{}, 3, "vsock"};
    config.entropy = vmm::EntropyConfig{};
    config.balloon = vmm::BalloonConfig{8, true, 1, true, false};
    return config;
}

inline Snapshot sample_snapshot() {
    Snapshot snapshot;
    snapshot.id.fill(std::byte{0x5A});
    vmm::SavedMicrovm& microvm = snapshot.microvm;
    microvm.config = sample_config();
    microvm.machine.clock = {1, 2};
    microvm.machine.vcpus = {sample_vcpu(), sample_vcpu()};
    microvm.machine.ioapic.entries[23] = 0x10000;
    microvm.machine.serial.divisor = 12;
    microvm.machine.serial.received = {std::byte{'a'}, std::byte{'b'}};
    microvm.machine.i8042.reply = std::byte{0xFA};
    microvm.machine.i8042.keyboard.is_scanning = true;
    virtio::MmioTransportState transport;
    transport.driver_features = 1ULL << 32;
    transport.queues.push_back(
        {{256, machine::Gpa{0x1000}, machine::Gpa{0x2000}, machine::Gpa{0x3000}}, true, {1, 2, 3}});
    microvm.machine.transports.assign(5, transport);
    virtio::BlockState block;
    block.capacity_sectors = 2048;
    block.id[0] = 'x';
    microvm.drives = {block};
    virtio::NetState net;
    net.config.mtu = 1400;
    microvm.network_interfaces = {net};
    microvm.vsock = virtio::VsockState{{3, "vsock"}};
    microvm.entropy = virtio::EntropyState{std::uint16_t{9}};
    microvm.balloon = virtio::BalloonState{};
    microvm.balloon->statistics.guest[2] = 77;
    microvm.balloon->hinting.acknowledge = virtio::AcknowledgeOnStop::no;
    return snapshot;
}

// For the sample's devices.
inline vmm::RateBudgets sample_budgets() {
    return {.drives = {{backend::TokenBucketState{1, 0, 5}, {}, 0}},
            .network_interfaces = {{{}, {{}, backend::TokenBucketState{2, 1, 6}, 7}}},
            .entropy = backend::RateLimiterState{}};
}

}  // namespace shoal::state::testing
