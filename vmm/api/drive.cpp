// Drives: before the start they are opened, afterwards updated.
#include "vmm/api/drive.h"

#include <algorithm>

namespace shoal::api {
namespace {

constexpr std::string_view prefix = "Drive config error: ";

// A file or a socket; a socket's server decides on everything that a virtio drive may say.
void complete_backend(vmm::DriveConfig& drive) {
    const bool has_virtio_fields = drive.path_on_host || drive.is_read_only || drive.rate_limiter ||
                                   drive.io_engine || drive.direct_io;
    if (drive.socket ? has_virtio_fields : !drive.path_on_host) {
        throw Fault{"Unable to create the block device: Invalid block config."};
    }
    if (!drive.socket) {
        drive.is_read_only = drive.is_read_only.value_or(false);
        drive.io_engine = drive.io_engine.value_or(vmm::IoEngine::sync);
        drive.rate_limiter = effective(drive.rate_limiter);
    }
}

void check_root_device(const std::vector<vmm::DriveConfig>& drives, const vmm::DriveConfig& drive) {
    const bool has_root = !drives.empty() && drives.front().is_root_device;
    if (drive.is_root_device && has_root && drives.front().drive_id != drive.drive_id) {
        throw Fault{"A root block device already exists!"};
    }
}

// The root device stays the first, so that it is /dev/vda.
void insert(std::vector<vmm::DriveConfig>& drives, vmm::DriveConfig drive) {
    const auto same = std::ranges::find(drives, drive.drive_id, &vmm::DriveConfig::drive_id);
    if (same != drives.end()) {
        *same = std::move(drive);
        if (same->is_root_device) {
            std::swap(drives.front(), *same);
        }
        return;
    }
    drives.insert(drive.is_root_device ? drives.begin() : drives.end(), std::move(drive));
}

void check_ids(std::string_view in_path, const std::string& in_body) {
    if (in_path != in_body) {
        throw Fault{"The id from the path does not match the id from the body!"};
    }
}

void update_drive(Context& context, const vmm::DriveUpdate& update) {
    auto& drives = context.config.drives;
    const auto drive = std::ranges::find(drives, update.drive_id, &vmm::DriveConfig::drive_id);
    if (drive == drives.end()) {
        throw Fault{"Device not found"};
    }
    if (drive->socket.has_value() == (update.path_on_host || update.rate_limiter)) {
        throw Fault{"Unable to patch the block device: Running method expected different backend."};
    }
    context.microvm.update_drive(update);
    if (update.path_on_host) {
        drive->path_on_host = update.path_on_host;
    }
    drive->rate_limiter = merged(drive->rate_limiter, update.rate_limiter);
}

}  // namespace

void set_drive(Context& context, vmm::DriveConfig drive) {
    with_prefix(prefix, [&] {
        complete_backend(drive);
        check_root_device(context.config.drives, drive);
        context.microvm.set_drive(drive);
        insert(context.config.drives, std::move(drive));
    });
}

ParsedRequest parse_put_drive(const Call& call) {
    const std::string_view id = parse_id(call);
    const auto drive = parse_body<vmm::DriveConfig>(call);
    check_ids(id, drive.drive_id);
    return {[drive](Context& context) {
        if (context.microvm.state() != vmm::MicrovmState::not_started) {
            throw Fault{
                "PCI manager error: PCI is not enabled: hot-plugging a drive is not "
                "supported yet."};
        }
        set_drive(context, drive);
        return no_content();
    }};
}

ParsedRequest parse_patch_drive(const Call& call) {
    const std::string_view id = parse_id(call);
    const auto update = parse_body<vmm::DriveUpdate>(call);
    check_ids(id, update.drive_id);
    return {[update](Context& context) {
        with_prefix(prefix, [&] { update_drive(context, update); });
        return no_content();
    }};
}

}  // namespace shoal::api
