// Loading a snapshot: what the API refuses, and the way from the files of vmm/state.
#include <algorithm>
#include <utility>

#include "vmm/api/snapshot.h"
#include "vmm/state/snapshot_files.h"
#include "vmm/state/working_set.h"

namespace shoal::api {
namespace {

constexpr std::string_view load_prefix = "Load snapshot error: ";

// What is decided by the body alone.
void check(const SnapshotLoadParams& params) {
    if (params.mem_backend && params.mem_file_path) {
        throw Fault{
            "too many fields: either `mem_backend` or `mem_file_path` exclusively is required."};
    }
    if (!params.mem_backend && !params.mem_file_path) {
        throw Fault{"missing field: either `mem_backend` or `mem_file_path` is required."};
    }
}

bool is_of_handler(const SnapshotLoadParams& params) {
    return params.mem_backend && params.mem_backend->backend_type == MemoryBackendType::uffd;
}

const std::string& memory_path(const SnapshotLoadParams& params) {
    return params.mem_backend ? params.mem_backend->backend_path : *params.mem_file_path;
}

vmm::MemorySource memory_source(const SnapshotLoadParams& params, const state::Snapshot& snapshot) {
    if (is_of_handler(params)) {
        return {{}, memory_path(params), {}, {}};
    }
    return state::open_memory(memory_path(params), snapshot,
                              params.working_set_path.value_or(std::string{}));
}

// The driver has to know that there is an address in the device's registers: it asked when it
// started. The overrides that are left.
std::vector<NetworkOverride> override_macs(vmm::SavedMicrovm& saved,
                                           std::vector<NetworkOverride> networks) {
    for (NetworkOverride& change : networks) {
        const auto found = std::ranges::find(saved.config.network_interfaces, change.iface_id,
                                             &vmm::NetworkInterfaceConfig::iface_id);
        if (!change.guest_mac || found == saved.config.network_interfaces.end()) {
            continue;
        }
        if (!found->guest_mac) {
            throw Fault{"The guest of the snapshot has made the address of " + change.iface_id +
                        " up itself: it cannot be given another one."};
        }
        const auto idx = found - saved.config.network_interfaces.begin();
        found->guest_mac = change.guest_mac;
        saved.network_interfaces.at(static_cast<std::size_t>(idx)).config.guest_mac =
            change.guest_mac;
        change.guest_mac.reset();
    }
    return networks;
}

void restore(Context& context, const SnapshotLoadParams& params) {
    if (params.huge_pages == LoadHugePages::hugetlbfs_2m) {
        throw Fault{is_of_handler(params)
                        ? "Huge pages of hugetlbfs are not supported yet."
                        : "Memory of a file cannot have huge pages of hugetlbfs."};
    }
    state::Snapshot snapshot = state::read_state(params.snapshot_path);
    vmm::MicrovmConfig& config = snapshot.microvm.config;
    override_devices(config, params.drive_overrides,
                     override_macs(snapshot.microvm, params.network_overrides),
                     params.vsock_override);
    config.serial = context.config.serial;
    config.machine.track_dirty_pages = params.track_dirty_pages || params.enable_diff_snapshots;
    kvm::ClockState& clock = snapshot.microvm.machine.clock;
    if (!params.clock_realtime) {
        clock.realtime_ns = 0;
    } else if (clock.realtime_ns == 0) {
        throw Fault{"clock_realtime: the snapshot does not say when it was made."};
    }
    vmm::MemorySource memory = memory_source(params, snapshot);
    if (params.record_working_set && memory.handler_path.empty() && memory.ahead.empty()) {
        context.working_set = WorkingSetRecord{
            params.working_set_path.value_or(state::working_set_beside(memory_path(params))),
            snapshot.id};
    }
    context.microvm.restore(snapshot.microvm, std::move(memory));
    context.snapshots.loaded(
        snapshot.id, config.machine.track_dirty_pages ? context.microvm.log_pages() : nullptr);
    context.microvm.renew_generation(params.clone);
    context.config = config;
    if (params.resume_vm) {
        context.microvm.resume();
    }
}

// As in Firecracker, a process that could not load its snapshot ends.
void load(Context& context, const SnapshotLoadParams& params) {
    if (has_boot_resources(context)) {
        throw Fault{
            "Loading a microVM snapshot not allowed after configuring boot-specific resources."};
    }
    try {
        restore(context, params);
    } catch (...) {
        context.working_set.reset();
        context.microvm.give_up();
        throw;
    }
}

}  // namespace

bool has_boot_resources(const Context& context) {
    const vmm::MicrovmConfig& config = context.config;
    return context.is_machine_configured || config.boot_source || !config.drives.empty() ||
           !config.network_interfaces.empty() || config.vsock || config.entropy || config.balloon;
}

void override_devices(vmm::MicrovmConfig& config, std::span<const DriveOverride> drives,
                      std::span<const NetworkOverride> networks,
                      const std::optional<VsockOverride>& vsock) {
    for (const DriveOverride& change : drives) {
        const auto drive =
            std::ranges::find(config.drives, change.drive_id, &vmm::DriveConfig::drive_id);
        if (drive == config.drives.end()) {
            throw Fault{"Unknown drive: " + change.drive_id};
        }
        drive->path_on_host = change.path_on_host;
    }
    for (const NetworkOverride& change : networks) {
        const auto interface = std::ranges::find(config.network_interfaces, change.iface_id,
                                                 &vmm::NetworkInterfaceConfig::iface_id);
        if (interface == config.network_interfaces.end()) {
            throw Fault{"Unknown Network Device: " + change.iface_id};
        }
        if (change.guest_mac) {
            throw Fault{"A guest that is moved keeps its addresses: no guest_mac."};
        }
        interface->host_dev_name = change.host_dev_name;
    }
    if (vsock) {
        if (!config.vsock) {
            throw Fault{"Unknown Vsock Device."};
        }
        config.vsock->uds_path = vsock->uds_path;
    }
}

void record_working_set(Context& context) {
    const auto record = std::exchange(context.working_set, std::nullopt);
    // Another may have done it meanwhile.
    if (record && state::read_working_set(record->path, record->snapshot,
                                          context.microvm.memory().size_bytes())
                      .empty()) {
        state::write_working_set(record->path, record->snapshot, context.microvm.wanted_pages());
    }
}

ParsedRequest parse_record_working_set(const Call& call) {
    static_cast<void>(parse_body<WorkingSetRecording>(call));
    return {[](Context& context) {
        with_prefix("Record working set error: ", [&] { record_working_set(context); });
        return no_content();
    }};
}

ParsedRequest parse_load_snapshot(const Call& call) {
    const auto params = parse_body<SnapshotLoadParams>(call);
    check(params);
    const bool is_deprecated = params.mem_file_path || params.enable_diff_snapshots;
    return {[params](Context& context) {
                with_prefix(load_prefix, [&] { load(context, params); });
                return no_content();
            },
            is_deprecated ? Deprecation::deprecated : Deprecation::none};
}

}  // namespace shoal::api
