// Snapshots: what the API refuses, and the way to the files of vmm/state.
#include "vmm/api/snapshot.h"

#include <algorithm>

#include "devices/host/clock.h"
#include "vmm/state/snapshot_files.h"

namespace shoal::api {
namespace {

constexpr std::string_view create_prefix = "Create snapshot error: ";
constexpr std::string_view load_prefix = "Load snapshot error: ";

// Whether the last one that is written behind the guest is done is noticed when somebody asks.
SnapshotProgress progress_of(Context& context) {
    SnapshotProgress progress;
    if (auto& writer = context.snapshot_writer) {
        progress.pause_us = context.snapshot_pause_us;
        switch (writer->state()) {
            case state::WriterState::writing:
                progress.state = SnapshotState::writing;
                break;
            case state::WriterState::done:
                progress.state = SnapshotState::done;
                break;
            case state::WriterState::failed:
                progress.state = SnapshotState::failed;
                progress.fault_message = writer->sentence();
                break;
        }
    }
    return progress;
}

// What has become of it counts for the one that follows.
void finish_writer(Context& context) {
    const SnapshotState state = progress_of(context).state;
    if (state == SnapshotState::writing) {
        throw Fault{"The snapshot before this one is still being written."};
    }
    if (state == SnapshotState::done) {
        context.snapshots.made(context.snapshot_writer->id());
    } else if (state == SnapshotState::failed) {
        context.snapshots.failed();
    }
    context.snapshot_writer.reset();
}

// Goes on, whether or not a snapshot could be made.
class Pause {
public:
    explicit Pause(Context& context) : context_{context}, started_us_{host::monotonic_us()} {
        context_.microvm.pause();
    }
    ~Pause() {
        context_.microvm.resume();
        context_.snapshot_pause_us = host::monotonic_us() - started_us_;
    }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

private:
    Context& context_;
    std::uint64_t started_us_;
};

// While the guest stands still.
std::optional<state::Difference> begin(Context& context, SnapshotType type) {
    if (context.config.machine.track_dirty_pages && !context.snapshots.has_log()) {
        context.snapshots.keep(context.microvm.log_pages());
    }
    context.snapshots.begin(context.microvm.memory());
    return type == SnapshotType::diff ? context.snapshots.difference(context.microvm.memory())
                                      : std::nullopt;
}

void create_behind(Context& context, const SnapshotCreateParams& params) {
    const Pause pause{context};
    vmm::SavedMicrovm saved = context.microvm.save(context.config);
    auto difference = begin(context, params.snapshot_type);
    try {
        context.snapshot_writer.emplace(
            state::SnapshotPaths{params.snapshot_path, params.mem_file_path}, saved,
            context.microvm.memory(), std::move(difference));
    } catch (...) {
        context.snapshots.failed();
        throw;
    }
}

void create_paused(Context& context, const SnapshotCreateParams& params) {
    const vmm::SavedMicrovm saved = context.microvm.save(context.config);
    auto difference = begin(context, params.snapshot_type);
    try {
        state::SnapshotFiles files{
            {params.snapshot_path, params.mem_file_path}, saved, std::move(difference)};
        files.write(context.microvm.memory());
        context.snapshots.made(files.id());
    } catch (...) {
        context.snapshots.failed();
        throw;
    }
}

void create(Context& context, const SnapshotCreateParams& params) {
    if (!params.resume_vm && context.microvm.state() != vmm::MicrovmState::paused) {
        throw Fault{
            "Cannot save the microVM state: Operation not allowed: save/restore unavailable while "
            "running"};
    }
    if (params.snapshot_path == params.mem_file_path) {
        throw Fault{"The state and the memory need a file each."};
    }
    finish_writer(context);
    if (params.resume_vm && context.microvm.memory().content_fd() < 0) {
        throw Fault{
            "Memory of a userfaultfd handler can be saved while the guest stands still only."};
    }
    if (params.resume_vm) {
        create_behind(context, params);
    } else {
        create_paused(context, params);
    }
}

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

vmm::MemorySource memory_source(const SnapshotLoadParams& params, const state::Snapshot& snapshot) {
    if (is_of_handler(params)) {
        return {{}, params.mem_backend->backend_path};
    }
    const std::string& path =
        params.mem_backend ? params.mem_backend->backend_path : *params.mem_file_path;
    return {state::open_memory(path, snapshot), {}};
}

// The guest's clock goes on as if it had run meanwhile. Not back, when the host's clock was.
void advance(kvm::ClockState& clock) {
    if (clock.realtime_ns == 0) {
        throw Fault{"clock_realtime: the snapshot does not say when it was made."};
    }
    const std::uint64_t now_ns = host::realtime_ns();
    clock.guest_ns += now_ns - std::min(now_ns, clock.realtime_ns);
}

void restore(Context& context, const SnapshotLoadParams& params) {
    if (params.huge_pages == LoadHugePages::hugetlbfs_2m) {
        throw Fault{is_of_handler(params)
                        ? "Huge pages of hugetlbfs are not supported yet."
                        : "Memory of a file cannot have huge pages of hugetlbfs."};
    }
    state::Snapshot snapshot = state::read_state(params.snapshot_path);
    vmm::MicrovmConfig& config = snapshot.microvm.config;
    override_devices(config, params.network_overrides, params.vsock_override);
    config.serial = context.config.serial;
    config.machine.track_dirty_pages = params.track_dirty_pages || params.enable_diff_snapshots;
    if (params.clock_realtime) {
        advance(snapshot.microvm.machine.clock);
    }
    context.microvm.restore(snapshot.microvm, memory_source(params, snapshot));
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

void override_devices(vmm::MicrovmConfig& config, std::span<const NetworkOverride> networks,
                      const std::optional<VsockOverride>& vsock) {
    for (const NetworkOverride& change : networks) {
        const auto interface = std::ranges::find(config.network_interfaces, change.iface_id,
                                                 &vmm::NetworkInterfaceConfig::iface_id);
        if (interface == config.network_interfaces.end()) {
            throw Fault{"Unknown Network Device: " + change.iface_id};
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

ParsedRequest parse_create_snapshot(const Call& call) {
    const auto params = parse_body<SnapshotCreateParams>(call);
    return {[params](Context& context) {
        with_prefix(create_prefix, [&] { create(context, params); });
        return no_content();
    }};
}

ParsedRequest parse_get_created_snapshot(const Call&) {
    return {[](Context& context) { return ok(progress_of(context)); }};
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
