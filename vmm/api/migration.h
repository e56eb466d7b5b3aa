// /migration: a running microVM moves from one process to another.
#pragma once

#include <array>

#include "vmm/api/action.h"
#include "vmm/api/snapshot.h"
#include "vmm/migration/source.h"

namespace shoal::api {

enum class AfterHandOver { exit, stay };

template <>
struct Names<AfterHandOver> {
    using Pair = std::pair<std::string_view, AfterHandOver>;
    static constexpr std::array values{Pair{"Exit", AfterHandOver::exit},
                                       Pair{"Stay", AfterHandOver::stay}};
};

struct MigrationTls {
    std::string certificate_path;
    std::string key_path;
    std::string authority_path;
};

template <>
struct Description<MigrationTls> {
    using Body = MigrationTls;
    static constexpr std::string_view name = "MigrationTls";
    static constexpr std::tuple fields{
        required("certificate_path", &Body::certificate_path),
        required("key_path", &Body::key_path),
        required("authority_path", &Body::authority_path),
    };
};

struct MigrationSend {
    std::string destination;
    std::optional<MigrationTls> tls;
    std::optional<std::string> peer_name;
    bool plain = false;
    std::uint32_t max_downtime_ms = 20;
    std::uint32_t max_rounds = 30;
    std::uint64_t max_bytes_per_s = 0;
    std::uint32_t max_throttle_percent = 80;
    std::vector<std::string> copied_drives;
    migration::Compression compression = migration::Compression::none;
    std::uint32_t connections = 1;
    AfterHandOver after_hand_over = AfterHandOver::exit;
    bool post_copy = false;
};

template <>
struct Description<MigrationSend> {
    using Body = MigrationSend;
    static constexpr std::string_view name = "MigrationSend";
    static constexpr std::tuple fields{
        required("destination", &Body::destination),
        optional("tls", &Body::tls),
        optional("peer_name", &Body::peer_name),
        optional("plain", &Body::plain),
        optional("max_downtime_ms", &Body::max_downtime_ms),
        optional("max_rounds", &Body::max_rounds, {1, 1000}),
        optional("max_bytes_per_s", &Body::max_bytes_per_s),
        optional("max_throttle_percent", &Body::max_throttle_percent, {0, 99}),
        optional("copied_drives", &Body::copied_drives),
        optional("compression", &Body::compression),
        optional("connections", &Body::connections, {1, migration::max_connections}),
        optional("after_hand_over", &Body::after_hand_over),
        optional("post_copy", &Body::post_copy),
    };
};

struct MigrationReceive {
    std::string listen;
    std::optional<MigrationTls> tls;
    std::optional<std::string> peer_name;
    bool plain = false;
    std::vector<DriveOverride> drive_overrides;
    std::vector<NetworkOverride> network_overrides;
    std::optional<VsockOverride> vsock_override;
};

template <>
struct Description<MigrationReceive> {
    using Body = MigrationReceive;
    static constexpr std::string_view name = "MigrationReceive";
    static constexpr std::tuple fields{
        required("listen", &Body::listen),
        optional("tls", &Body::tls),
        optional("peer_name", &Body::peer_name),
        optional("plain", &Body::plain),
        optional("drive_overrides", &Body::drive_overrides),
        optional("network_overrides", &Body::network_overrides),
        optional("vsock_override", &Body::vsock_override),
    };
};

// `none`: no migration was begun. The others are the phases of vmm/migration/handover.h.
enum class MigrationPhase {
    none,
    greeting,
    copying,
    stopped,
    committed,
    in_doubt,
    serving,
    resumed,
    handed_over,
    waiting,
    receiving,
    ready,
    running,
    discarded,
};

template <>
struct Names<MigrationPhase> {
    using Pair = std::pair<std::string_view, MigrationPhase>;
    static constexpr std::array values{
        Pair{"None", MigrationPhase::none},
        Pair{"Greeting", MigrationPhase::greeting},
        Pair{"Copying", MigrationPhase::copying},
        Pair{"Stopped", MigrationPhase::stopped},
        Pair{"Committed", MigrationPhase::committed},
        Pair{"InDoubt", MigrationPhase::in_doubt},
        Pair{"Serving", MigrationPhase::serving},
        Pair{"Resumed", MigrationPhase::resumed},
        Pair{"HandedOver", MigrationPhase::handed_over},
        Pair{"Waiting", MigrationPhase::waiting},
        Pair{"Receiving", MigrationPhase::receiving},
        Pair{"Ready", MigrationPhase::ready},
        Pair{"Running", MigrationPhase::running},
        Pair{"Discarded", MigrationPhase::discarded},
    };
};

struct MigrationStatus {
    MigrationPhase phase = MigrationPhase::none;
    std::optional<std::string> address;
    std::uint32_t rounds = 0;
    std::uint64_t pages = 0;
    std::uint64_t zero_pages = 0;
    std::uint64_t remaining_pages = 0;
    std::uint64_t drive_pages = 0;
    std::uint64_t remaining_drive_pages = 0;
    std::uint64_t bytes = 0;
    std::uint64_t bytes_per_s = 0;
    std::uint32_t throttle_percent = 0;
    std::uint64_t expected_downtime_us = 0;
    std::uint64_t downtime_us = 0;
    std::uint64_t total_us = 0;
    std::optional<std::string> failure;
};

template <>
struct Description<MigrationStatus> {
    using Body = MigrationStatus;
    static constexpr std::string_view name = "MigrationStatus";
    static constexpr std::tuple fields{
        required("phase", &Body::phase),
        optional("address", &Body::address),
        required("rounds", &Body::rounds),
        required("pages", &Body::pages),
        required("zero_pages", &Body::zero_pages),
        required("remaining_pages", &Body::remaining_pages),
        required("drive_pages", &Body::drive_pages),
        required("remaining_drive_pages", &Body::remaining_drive_pages),
        required("bytes", &Body::bytes),
        required("bytes_per_s", &Body::bytes_per_s),
        required("throttle_percent", &Body::throttle_percent),
        required("expected_downtime_us", &Body::expected_downtime_us),
        required("downtime_us", &Body::downtime_us),
        required("total_us", &Body::total_us),
        optional("failure", &Body::failure),
    };
};

struct MigrationCancel {};

template <>
struct Description<MigrationCancel> {
    static constexpr std::string_view name = "MigrationCancel";
    static constexpr std::tuple fields{};
};

enum class GuestRuns { here, there };

template <>
struct Names<GuestRuns> {
    using Pair = std::pair<std::string_view, GuestRuns>;
    static constexpr std::array values{Pair{"Here", GuestRuns::here},
                                       Pair{"There", GuestRuns::there}};
};

struct MigrationResolve {
    GuestRuns guest_runs{};
};

template <>
struct Description<MigrationResolve> {
    static constexpr std::string_view name = "MigrationResolve";
    static constexpr std::tuple fields{required("guest_runs", &MigrationResolve::guest_runs)};
};

[[nodiscard]] ParsedRequest parse_get_migration(const Call& call);
[[nodiscard]] ParsedRequest parse_send_migration(const Call& call);
[[nodiscard]] ParsedRequest parse_receive_migration(const Call& call);
[[nodiscard]] ParsedRequest parse_cancel_migration(const Call& call);
[[nodiscard]] ParsedRequest parse_resolve_migration(const Call& call);

}  // namespace shoal::api
