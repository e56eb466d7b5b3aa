// Migration: what the API refuses, and the way to vmm/migration.
#include "vmm/api/migration.h"

#include <algorithm>

#include "vmm/migration/migration.h"

namespace shoal::api {
namespace {

constexpr std::string_view prefix = "Migration error: ";

migration::Address address_of(const std::string& text) {
    const auto address = migration::parse_address(text);
    if (!address) {
        throw Fault{"\"" + text + "\" is neither unix:PATH nor tcp:HOST:PORT."};
    }
    return *address;
}

// A unix socket's path says that it is meant to be plain.
template <typename Params>
std::shared_ptr<migration::Tls> tls_of(const migration::Address& address, const Params& params,
                                       migration::Tls::Side side) {
    const std::optional<MigrationTls>& tls = params.tls;
    if (tls && params.plain) {
        throw Fault{"Either `tls` or `plain`, not both."};
    }
    if (tls) {
        return std::make_shared<migration::Tls>(
            migration::TlsFiles{tls->certificate_path, tls->key_path, tls->authority_path}, side);
    }
    if (params.peer_name) {
        throw Fault{"`peer_name` is that of a certificate: it needs `tls`."};
    }
    if (address.kind == migration::Address::Kind::tcp && !params.plain) {
        throw Fault{
            "A guest's memory does not cross a network in plain: give `tls`, or say `plain`."};
    }
    return nullptr;
}

void receive(Context& context, const MigrationReceive& params) {
    if (has_boot_resources(context)) {
        throw Fault{"Not allowed after configuring boot-specific resources."};
    }
    const migration::Address address = address_of(params.listen);
    const auto tls = tls_of(address, params, migration::Tls::Side::destination);
    if (tls) {
        tls->set_peer(params.peer_name.value_or(""));
    }
    context.migration.receive({
        address,
        [params, serial = context.config.serial](vmm::MicrovmConfig& config) {
            override_devices(config, params.drive_overrides, params.network_overrides,
                             params.vsock_override);
            config.serial = serial;
        },
        [&context](const vmm::MicrovmConfig& config) { context.config = config; },
        tls,
    });
}

void send(Context& context, const MigrationSend& params) {
    if (params.max_bytes_per_s != 0 && params.max_bytes_per_s < migration::least_bytes_per_s) {
        throw Fault{"max_bytes_per_s is 0 or at least " +
                    std::to_string(migration::least_bytes_per_s) + "."};
    }
    if (params.post_copy && params.connections > 1) {
        throw Fault{
            "A post-copy has one connection for pages, and one more for those that the guest waits "
            "for."};
    }
    migration::SendOrder order;
    order.to = address_of(params.destination);
    if (const auto tls = tls_of(order.to, params, migration::Tls::Side::source)) {
        const bool is_tcp = order.to.kind == migration::Address::Kind::tcp;
        tls->set_peer(params.peer_name.value_or(is_tcp ? order.to.host : ""));
        order.tls = tls;
    }
    order.max_downtime = std::chrono::milliseconds{params.max_downtime_ms};
    order.max_bytes_per_s = params.max_bytes_per_s;
    order.max_rounds = params.max_rounds;
    order.max_throttle_percent = params.max_throttle_percent;
    order.copied_drives = params.copied_drives;
    order.compression = params.compression;
    order.connections = params.connections;
    order.is_post_copy = params.post_copy;
    order.after_hand_over = params.after_hand_over == AfterHandOver::exit
                                ? migration::AfterHandOver::exit
                                : migration::AfterHandOver::stay;
    context.migration.send(context.config, order);
}

MigrationPhase phase_of(migration::SourcePhase phase) {
    using enum migration::SourcePhase;
    switch (phase) {
        case greeting:
            return MigrationPhase::greeting;
        case copying:
            return MigrationPhase::copying;
        case stopped:
            return MigrationPhase::stopped;
        case committed:
            return MigrationPhase::committed;
        case in_doubt:
            return MigrationPhase::in_doubt;
        case serving:
            return MigrationPhase::serving;
        case resumed:
            return MigrationPhase::resumed;
        case handed_over:
            return MigrationPhase::handed_over;
    }
    return MigrationPhase::none;
}

MigrationPhase phase_of(migration::DestinationPhase phase) {
    using enum migration::DestinationPhase;
    switch (phase) {
        case waiting:
            return MigrationPhase::waiting;
        case receiving:
            return MigrationPhase::receiving;
        case ready:
            return MigrationPhase::ready;
        case running:
            return MigrationPhase::running;
        case discarded:
            return MigrationPhase::discarded;
    }
    return MigrationPhase::none;
}

MigrationStatus status_of(MigrationPhase phase, const migration::Progress& progress) {
    return {phase,
            {},
            progress.rounds,
            progress.pages,
            progress.zero_pages,
            progress.remaining_pages,
            progress.drive_pages,
            progress.remaining_drive_pages,
            progress.bytes,
            progress.bytes_per_s,
            progress.throttle_percent,
            progress.expected_downtime_us,
            progress.downtime_us,
            progress.total_us,
            progress.failure};
}

// A process that took a guest and gave it away tells of the latter.
MigrationStatus status(const Context& context) {
    if (const migration::Source* source = context.migration.source()) {
        return status_of(phase_of(source->phase()), source->progress());
    }
    if (const migration::Destination* destination = context.migration.destination()) {
        MigrationStatus result = status_of(phase_of(destination->phase()), destination->progress());
        result.address = to_text(destination->address());
        return result;
    }
    return {};
}

template <typename Work>
ParsedRequest action(Work work) {
    return {[work](Context& context) {
        with_prefix(prefix, [&] { work(context); });
        return no_content();
    }};
}

}  // namespace

ParsedRequest parse_get_migration(const Call&) {
    return {[](Context& context) { return ok(status(context)); }};
}

ParsedRequest parse_send_migration(const Call& call) {
    const auto params = parse_body<MigrationSend>(call);
    return action([params](Context& context) { send(context, params); });
}

ParsedRequest parse_receive_migration(const Call& call) {
    const auto params = parse_body<MigrationReceive>(call);
    return action([params](Context& context) { receive(context, params); });
}

ParsedRequest parse_cancel_migration(const Call& call) {
    static_cast<void>(parse_body<MigrationCancel>(call));
    return action([](Context& context) { context.migration.cancel(); });
}

ParsedRequest parse_resolve_migration(const Call& call) {
    const GuestRuns runs = parse_body<MigrationResolve>(call).guest_runs;
    return action([runs](Context& context) {
        context.migration.resolve(runs == GuestRuns::here ? migration::SourceEvent::told_to_resume
                                                          : migration::SourceEvent::told_to_end);
    });
}

}  // namespace shoal::api
