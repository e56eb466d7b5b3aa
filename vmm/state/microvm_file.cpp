// Which section holds what.
#include "vmm/state/microvm_file.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "devices/abi/address_map.h"
#include "vmm/state/config_fields.h"
#include "vmm/state/section.h"
#include "vmm/state/vcpu_fields.h"

namespace shoal::state {
namespace {

constexpr std::string_view id_section = "snapshot-id";
constexpr std::string_view config_section = "config";
constexpr std::string_view clock_section = "clock";
constexpr std::string_view vcpu_section = "vcpu";
constexpr std::string_view ioapic_section = "ioapic";
constexpr std::string_view serial_section = "serial";
constexpr std::string_view i8042_section = "i8042";
constexpr std::string_view transport_section = "virtio-mmio";
constexpr std::string_view drive_section = "block";
constexpr std::string_view net_section = "net";
constexpr std::string_view vsock_section = "vsock";
constexpr std::string_view entropy_section = "entropy";
constexpr std::string_view balloon_section = "balloon";
constexpr std::string_view budgets_section = "rate-budgets";
constexpr std::string_view serial_budget_section = "serial-budget";

template <typename T>
void add_each(SectionWriter& writer, std::string_view name, const std::vector<T>& values) {
    std::uint32_t instance = 0;
    for (const T& value : values) {
        writer.add({name, instance++}, value);
    }
}

template <typename T>
std::vector<T> take_each(SectionReader& reader, std::string_view name) {
    std::vector<T> values;
    for (std::uint32_t instance = 0; reader.has({name, instance}); ++instance) {
        values.push_back(reader.take<T>({name, instance}));
    }
    return values;
}

template <typename T>
void add_if(SectionWriter& writer, std::string_view name, const std::optional<T>& value,
            Requirement requirement = Requirement::required) {
    if (value) {
        writer.add({name}, *value, requirement);
    }
}

template <typename T>
std::optional<T> take_if(SectionReader& reader, std::string_view name) {
    return reader.has({name}) ? std::optional{reader.take<T>({name})} : std::nullopt;
}

void require(bool condition, const char* what) {
    if (!condition) {
        throw StateError("the state file contradicts itself: " + std::string{what});
    }
}

// Two devices of one id would be one device with two drivers.
template <typename T>
bool are_unique(const std::vector<T>& configs, std::string T::*id) {
    std::set<std::string> ids;
    return std::ranges::all_of(configs,
                               [&](const T& config) { return ids.insert(config.*id).second; });
}

// What the configuration says is what the other sections hold.
void check_all(const vmm::SavedMicrovm& state) {
    const vmm::MicrovmConfig& config = state.config;
    check(config);
    require(config.machine.vcpu_count == state.machine.vcpus.size(), "the number of vCPUs");
    require(config.drives.size() == state.drives.size(), "the number of drives");
    require(config.network_interfaces.size() == state.network_interfaces.size(),
            "the number of network interfaces");
    require(config.vsock.has_value() == state.vsock.has_value(), "the vsock device");
    require(config.entropy.has_value() == state.entropy.has_value(), "the entropy device");
    require(config.balloon.has_value() == state.balloon.has_value(), "the balloon");
    require(!state.budgets ||
                (state.budgets->drives.size() == state.drives.size() &&
                 state.budgets->network_interfaces.size() == state.network_interfaces.size()),
            "the number of rate limiters");
    for (const kvm::VcpuState& vcpu : state.machine.vcpus) {
        require(vcpu.cpuid.size() <= kvm::max_cpuid_entries && vcpu.msrs.size() <= kvm::max_msrs,
                "a vCPU with too many registers");
    }
}

}  // namespace

void check(const vmm::MicrovmConfig& config) {
    const std::uint64_t size_mib = config.machine.mem_size_mib;
    require(size_mib > 0 && size_mib < 1ULL << 32, "the size of the memory");
    require(config.machine.vcpu_count >= 1 && config.machine.vcpu_count <= abi::max_vcpus,
            "the number of vCPUs");
    require(are_unique(config.drives, &vmm::DriveConfig::drive_id) &&
                are_unique(config.network_interfaces, &vmm::NetworkInterfaceConfig::iface_id),
            "two devices of one id");
    for (const vmm::DriveConfig& drive : config.drives) {
        require(drive.path_on_host.has_value() && !drive.socket, "a drive without a file");
    }
}

std::vector<std::byte> encode(const Snapshot& snapshot) {
    const vmm::SavedMicrovm& state = snapshot.microvm;
    SectionWriter writer;
    writer.add({id_section}, snapshot.id);
    writer.add({config_section}, state.config);
    writer.add({clock_section}, state.machine.clock);
    add_each(writer, vcpu_section, state.machine.vcpus);
    writer.add({ioapic_section}, state.machine.ioapic);
    writer.add({serial_section}, state.machine.serial);
    writer.add({i8042_section}, state.machine.i8042);
    add_each(writer, transport_section, state.machine.transports);
    add_each(writer, drive_section, state.drives);
    add_each(writer, net_section, state.network_interfaces);
    add_if(writer, vsock_section, state.vsock);
    add_if(writer, entropy_section, state.entropy);
    add_if(writer, balloon_section, state.balloon);
    add_if(writer, budgets_section, state.budgets, Requirement::optional);
    add_if(writer, serial_budget_section, state.machine.serial_budget, Requirement::optional);
    return writer.finish();
}

Snapshot decode(std::span<const std::byte> file) {
    SectionReader reader{file};
    Snapshot snapshot;
    vmm::SavedMicrovm& state = snapshot.microvm;
    snapshot.id = reader.take<SnapshotId>({id_section});
    state.config = reader.take<vmm::MicrovmConfig>({config_section});
    state.machine.clock = reader.take<kvm::ClockState>({clock_section});
    state.machine.vcpus = take_each<kvm::VcpuState>(reader, vcpu_section);
    state.machine.ioapic = reader.take<legacy::IoApicState>({ioapic_section});
    state.machine.serial = reader.take<legacy::SerialState>({serial_section});
    state.machine.i8042 = reader.take<legacy::I8042State>({i8042_section});
    state.machine.transports = take_each<virtio::MmioTransportState>(reader, transport_section);
    state.drives = take_each<virtio::BlockState>(reader, drive_section);
    state.network_interfaces = take_each<virtio::NetState>(reader, net_section);
    state.vsock = take_if<virtio::VsockState>(reader, vsock_section);
    state.entropy = take_if<virtio::EntropyState>(reader, entropy_section);
    state.balloon = take_if<virtio::BalloonState>(reader, balloon_section);
    state.budgets = take_if<vmm::RateBudgets>(reader, budgets_section);
    state.machine.serial_budget = take_if<backend::TokenBucketState>(reader, serial_budget_section);
    reader.refuse_the_rest();
    check_all(state);
    return snapshot;
}

}  // namespace shoal::state
