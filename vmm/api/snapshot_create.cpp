// Making snapshots: what the API refuses, and the way to the files of vmm/state.
#include "vmm/api/snapshot.h"

#include <algorithm>
#include <utility>

#include "devices/host/clock.h"
#include "vmm/machine/page_set.h"
#include "vmm/migration/migration.h"
#include "vmm/state/memory_image.h"
#include "vmm/state/snapshot_files.h"

namespace shoal::api {
namespace {

constexpr std::string_view create_prefix = "Create snapshot error: ";

// Whether the last one that is written behind the guest is done is noticed here, when somebody
// asks: its child process is reaped then, and what it replaced given back by a thread.
SnapshotProgress look_at_writer(Context& context) {
    SnapshotProgress progress;
    if (const auto& saving = context.drive_saving) {
        switch (saving->state()) {
            case DriveSaving::State::copying:
                progress.state = SnapshotState::writing;
                return progress;
            case DriveSaving::State::failed:
                progress.state = SnapshotState::failed;
                progress.fault_message = saving->sentence();
                return progress;
            case DriveSaving::State::done:
                break;
        }
    }
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
    const SnapshotState state = look_at_writer(context).state;
    if (state == SnapshotState::writing) {
        throw Fault{"The snapshot before this one is still being written."};
    }
    if (state == SnapshotState::done) {
        const state::SnapshotId& id = context.snapshot_writer->id();
        context.snapshots.made(id);
        for (const auto& [name, drive] : context.logged_drives) {
            drive->base = id;
        }
    } else if (context.snapshot_writer) {
        context.snapshots.failed();
    }
    context.drive_saving.reset();
    context.snapshot_writer.reset();
}

enum class Afterwards { resume, as_before };

// Goes on, whether or not a snapshot could be made.
class Pause {
public:
    Pause(Context& context, Afterwards afterwards)
        : context_{context},
          resumes_{afterwards == Afterwards::resume ||
                   context.microvm.state() == vmm::MicrovmState::running},
          started_us_{host::monotonic_us()} {
        context_.microvm.pause();
    }
    ~Pause() {
        if (resumes_) {
            context_.microvm.resume();
        }
        context_.snapshot_pause_us = host::monotonic_us() - started_us_;
    }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

private:
    Context& context_;
    const bool resumes_;
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

void create_behind(Context& context, const SnapshotCreateParams& params, Afterwards afterwards,
                   state::DriveCopies drives = {}) {
    state::unmap_shared(context.microvm.memory());
    vmm::free_replaced(context.microvm.memory());
    const Pause pause{context, afterwards};
    vmm::SavedMicrovm saved = context.microvm.save(context.config);
    auto difference = begin(context, params.snapshot_type);
    try {
        context.snapshot_writer.emplace(paths_of(params), saved, context.microvm.memory(),
                                        std::move(difference), std::move(drives));
    } catch (...) {
        context.snapshots.failed();
        throw;
    }
}

// Until the snapshot is made none of them has a base: after one that fails, the next is whole.
state::DriveCopies open_drives(Context& context, const SnapshotCreateParams& params) {
    state::DriveCopies copies;
    auto known = std::exchange(context.logged_drives, {});
    for (const SavedDrive& wanted : params.drives) {
        const std::string& id = wanted.drive_id;
        const auto& drives = context.config.drives;
        const auto found = std::ranges::find(drives, id, &vmm::DriveConfig::drive_id);
        if (found == drives.end() || found->socket) {
            throw Fault{found == drives.end() ? "Unknown drive: " + id
                                              : "The drive " + id + " is another process's."};
        }
        std::shared_ptr<state::LoggedDrive>& drive = context.logged_drives[id];
        if (drive) {
            throw Fault{"The drive " + id + " is named twice."};
        }
        if (params.snapshot_type == SnapshotType::diff && known.contains(id)) {
            drive = known.at(id);
        }
        if (!drive || !drive->is_logging() || drive->base != context.snapshots.latest()) {
            drive = std::make_shared<state::LoggedDrive>(
                state::LoggedDrive{id, context.microvm.drive_content(id), {}});
        }
        copies.add(drive, wanted.path);
        drive->base.reset();
    }
    return copies;
}

// The drives first, behind the guest; the rest once little is left of them. Who pauses the guest
// meanwhile finds it so afterwards.
void create_with_drives(Context& context, const SnapshotCreateParams& params) {
    context.drive_saving.emplace(context.migration.calls(), open_drives(context, params),
                                 [&context, params](state::DriveCopies drives) {
                                     if (context.migration.is_busy()) {
                                         throw Fault{"The microVM is on its way elsewhere."};
                                     }
                                     create_behind(context, params, Afterwards::as_before,
                                                   std::move(drives));
                                 });
    if (context.microvm.state() == vmm::MicrovmState::paused) {
        context.microvm.resume();
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
    if (!params.drives.empty() && !params.resume_vm) {
        throw Fault{"Drives are saved behind the guest only: with resume_vm."};
    }
    finish_writer(context);
    if (params.resume_vm && context.microvm.memory().backing() == machine::Backing::others) {
        throw Fault{
            "Memory of a userfaultfd handler, or of a compressed snapshot, can be saved while the "
            "guest stands still only."};
    }
    if (!params.drives.empty()) {
        create_with_drives(context, params);
    } else if (params.resume_vm) {
        create_behind(context, params, Afterwards::resume);
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
    return {[](Context& context) { return ok(look_at_writer(context)); }};
}

}  // namespace shoal::api
