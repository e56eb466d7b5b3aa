// /snapshot/create and /snapshot/load
#pragma once

#include <array>
#include <span>

#include "vmm/api/action.h"
#include "vmm/api/network_interface.h"
#include "vmm/state/compression.h"

namespace shoal::api {

enum class SnapshotType { full, diff };

template <>
struct Names<SnapshotType> {
    using Pair = std::pair<std::string_view, SnapshotType>;
    static constexpr std::array values{Pair{"Full", SnapshotType::full},
                                       Pair{"Diff", SnapshotType::diff}};
};

template <>
struct Names<state::Compression> {
    using Pair = std::pair<std::string_view, state::Compression>;
    static constexpr std::array values{Pair{"None", state::Compression::none},
                                       Pair{"Zstd", state::Compression::zstd}};
};

// Ours: a drive whose content is a part of the snapshot, and its file.
struct SavedDrive {
    std::string drive_id;
    std::string path;
};

template <>
struct Description<SavedDrive> {
    using Body = SavedDrive;
    static constexpr std::string_view name = "SavedDrive";
    static constexpr std::tuple fields{
        required("drive_id", &Body::drive_id),
        required("path", &Body::path),
    };
};

struct SnapshotCreateParams {
    std::string snapshot_path;
    std::string mem_file_path;
    SnapshotType snapshot_type = SnapshotType::full;
    bool resume_vm = false;  // ours: the memory is written behind the guest
    state::Compression compression = state::Compression::none;  // ours
    std::vector<SavedDrive> drives;                             // ours
};

template <>
struct Description<SnapshotCreateParams> {
    using Body = SnapshotCreateParams;
    static constexpr std::string_view name = "SnapshotCreateParams";
    static constexpr std::tuple fields{
        required("snapshot_path", &Body::snapshot_path),
        required("mem_file_path", &Body::mem_file_path),
        optional("snapshot_type", &Body::snapshot_type),
        optional("resume_vm", &Body::resume_vm),
        optional("compression", &Body::compression),
        optional("drives", &Body::drives),
    };
};

enum class SnapshotState { none, writing, done, failed };

template <>
struct Names<SnapshotState> {
    using Pair = std::pair<std::string_view, SnapshotState>;
    static constexpr std::array values{
        Pair{"None", SnapshotState::none}, Pair{"Writing", SnapshotState::writing},
        Pair{"Done", SnapshotState::done}, Pair{"Failed", SnapshotState::failed}};
};

// Of the last one with `resume_vm`.
struct SnapshotProgress {
    SnapshotState state = SnapshotState::none;
    std::uint64_t pause_us = 0;
    std::optional<std::string> fault_message;
};

template <>
struct Description<SnapshotProgress> {
    using Body = SnapshotProgress;
    static constexpr std::string_view name = "SnapshotProgress";
    static constexpr std::tuple fields{
        required("state", &Body::state),
        required("pause_us", &Body::pause_us),
        optional("fault_message", &Body::fault_message),
    };
};

enum class MemoryBackendType { file, uffd };

template <>
struct Names<MemoryBackendType> {
    using Pair = std::pair<std::string_view, MemoryBackendType>;
    static constexpr std::array values{Pair{"File", MemoryBackendType::file},
                                       Pair{"Uffd", MemoryBackendType::uffd}};
};

struct MemoryBackend {
    MemoryBackendType backend_type{};
    std::string backend_path;
};

template <>
struct Description<MemoryBackend> {
    using Body = MemoryBackend;
    static constexpr std::string_view name = "MemoryBackend";
    static constexpr std::tuple fields{
        required("backend_type", &Body::backend_type),
        required("backend_path", &Body::backend_path),
    };
};

struct NetworkOverride {
    std::string iface_id;
    std::string host_dev_name;
    std::optional<vmm::MacAddress> guest_mac;  // ours
};

template <>
struct Description<NetworkOverride> {
    using Body = NetworkOverride;
    static constexpr std::string_view name = "NetworkOverride";
    static constexpr UnknownFields unknown_fields = UnknownFields::ignored;
    static constexpr std::tuple fields{
        required("iface_id", &Body::iface_id),
        required("host_dev_name", &Body::host_dev_name),
        optional("guest_mac", &Body::guest_mac),
    };
};

struct DriveOverride {
    std::string drive_id;
    std::string path_on_host;
};

template <>
struct Description<DriveOverride> {
    using Body = DriveOverride;
    static constexpr std::string_view name = "DriveOverride";
    static constexpr std::tuple fields{
        required("drive_id", &Body::drive_id),
        required("path_on_host", &Body::path_on_host),
    };
};

struct VsockOverride {
    std::string uds_path;
};

template <>
struct Description<VsockOverride> {
    using Body = VsockOverride;
    static constexpr std::string_view name = "VsockOverride";
    static constexpr UnknownFields unknown_fields = UnknownFields::ignored;
    static constexpr std::tuple fields{required("uds_path", &Body::uds_path)};
};

// Ours: what tells this copy from the others.
template <>
struct Description<vmm::CloneWords> {
    using Body = vmm::CloneWords;
    static constexpr std::string_view name = "CloneWords";
    static constexpr std::tuple fields{
        required("id", &Body::id),
        optional("args", &Body::args),
        optional("boot_args", &Body::boot_args),
    };
};

// `snapshot`: those of the microVM that the snapshot is of.
enum class LoadHugePages { snapshot, none, transparent, hugetlbfs_2m };

template <>
struct Names<LoadHugePages> {
    using Pair = std::pair<std::string_view, LoadHugePages>;
    static constexpr std::array values{
        Pair{"Snapshot", LoadHugePages::snapshot}, Pair{"None", LoadHugePages::none},
        Pair{"Transparent", LoadHugePages::transparent}, Pair{"2M", LoadHugePages::hugetlbfs_2m}};
};

struct SnapshotLoadParams {
    std::string snapshot_path;
    std::optional<MemoryBackend> mem_backend;
    std::optional<std::string> mem_file_path;
    bool track_dirty_pages = false;
    bool enable_diff_snapshots = false;
    bool resume_vm = false;
    std::vector<DriveOverride> drive_overrides;  // ours
    std::vector<NetworkOverride> network_overrides;
    std::optional<VsockOverride> vsock_override;
    bool clock_realtime = false;
    LoadHugePages huge_pages = LoadHugePages::snapshot;
    std::optional<vmm::CloneWords> clone;
    bool record_working_set = false;              // ours
    std::optional<std::string> working_set_path;  // ours
};

template <>
struct Description<SnapshotLoadParams> {
    using Body = SnapshotLoadParams;
    static constexpr std::string_view name = "SnapshotLoadParams";
    static constexpr std::tuple fields{
        required("snapshot_path", &Body::snapshot_path),
        optional("mem_backend", &Body::mem_backend),
        optional("mem_file_path", &Body::mem_file_path),
        optional("track_dirty_pages", &Body::track_dirty_pages),
        optional("enable_diff_snapshots", &Body::enable_diff_snapshots),
        optional("resume_vm", &Body::resume_vm),
        optional("drive_overrides", &Body::drive_overrides),
        optional("network_overrides", &Body::network_overrides),
        optional("vsock_override", &Body::vsock_override),
        optional("clock_realtime", &Body::clock_realtime),
        optional("huge_pages", &Body::huge_pages),
        optional("clone", &Body::clone),
        optional("record_working_set", &Body::record_working_set),
        optional("working_set_path", &Body::working_set_path),
    };
};

struct WorkingSetRecording {};

template <>
struct Description<WorkingSetRecording> {
    static constexpr std::string_view name = "WorkingSetRecording";
    static constexpr std::tuple fields{};
};

// Whether anything but the serial port was set: then no other microVM can come in its place.
[[nodiscard]] bool has_boot_resources(const Context& context);
// Gives the devices of a microVM from elsewhere their places on this host; a guest that runs on
// keeps its address. Throws Fault.
void override_devices(vmm::MicrovmConfig& config, std::span<const DriveOverride> drives,
                      std::span<const NetworkOverride> networks,
                      const std::optional<VsockOverride>& vsock);

// What of its memory the guest has used since it was loaded becomes the working set of its memory
// file, when the load asked for it and it was not recorded yet. Throws with one sentence.
void record_working_set(Context& context);

[[nodiscard]] ParsedRequest parse_create_snapshot(const Call& call);
[[nodiscard]] ParsedRequest parse_get_created_snapshot(const Call& call);
[[nodiscard]] ParsedRequest parse_load_snapshot(const Call& call);
[[nodiscard]] ParsedRequest parse_record_working_set(const Call& call);

}  // namespace shoal::api
