// Making snapshots: what the API refuses, and the way to the files of vmm/state.
#include "vmm/api/snapshot.h"

#include "devices/host/clock.h"
#include "vmm/machine/page_set.h"
#include "vmm/state/memory_image.h"
#include "vmm/state/snapshot_files.h"

namespace shoal::api {
namespace {

constexpr std::string_view create_prefix = "Create snapshot error: ";

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

state::SnapshotPaths paths_of(const SnapshotCreateParams& params) {
    return {params.snapshot_path, params.mem_file_path, params.compression};
}

void create_behind(Context& context, const SnapshotCreateParams& params) {
    state::unmap_shared(context.microvm.memory());
    vmm::free_replaced(context.microvm.memory());
    const Pause pause{context};
    vmm::SavedMicrovm saved = context.microvm.save(context.config);
    auto difference = begin(context, params.snapshot_type);
    try {
        context.snapshot_writer.emplace(paths_of(params), saved, context.microvm.memory(),
                                        std::move(difference));
    } catch (...) {
        context.snapshots.failed();
        throw;
    }
}

void create_paused(Context& context, const SnapshotCreateParams& params) {
    const vmm::SavedMicrovm saved = context.microvm.save(context.config);
    auto difference = begin(context, params.snapshot_type);
    try {
        state::SnapshotFiles files{paths_of(params), saved, std::move(difference)};
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
    if (params.compression != state::Compression::none &&
        params.snapshot_type == SnapshotType::diff) {
        throw Fault{"A Diff snapshot cannot be compressed: its memory file is to be merged."};
    }
    finish_writer(context);
    if (params.resume_vm && context.microvm.memory().content_fd() < 0) {
        throw Fault{
            "Memory of a userfaultfd handler, or of a compressed snapshot, can be saved while the "
            "guest stands still only."};
    }
    if (params.resume_vm) {
        create_behind(context, params);
    } else {
        create_paused(context, params);
    }
}

}  // namespace

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

}  // namespace shoal::api
