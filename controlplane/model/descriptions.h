// The fields of hosts, microVMs and groups in JSON, each with its limit.
#pragma once

#include <array>
#include <tuple>
#include <utility>

#include "controlplane/model/checkpoint.h"
#include "controlplane/model/fields.h"
#include "controlplane/model/group.h"
#include "controlplane/model/host.h"
#include "controlplane/model/image.h"
#include "controlplane/model/join.h"
#include "controlplane/model/microvm.h"
#include "controlplane/model/move.h"
#include "controlplane/model/network.h"
#include "controlplane/model/project.h"
#include "controlplane/model/template.h"
#include "controlplane/model/volume.h"

namespace shoal::model {

inline constexpr Limits a_name{0, 63};
inline constexpr Limits a_path{0, 4095};  // PATH_MAX without its NUL
inline constexpr Limits some_labels{0, 64};
inline constexpr Limits some_words{0, 1024};
inline constexpr Limits a_sentence{0, 1024};
inline constexpr Limits a_time{0, 35};                  // RFC 3339
inline constexpr Limits memory_of_microvm{1, 4 << 20};  // 4 TiB
inline constexpr Limits vcpus_of_microvm{1, 32};        // a VMM's (devices/abi/address_map.h)
inline constexpr Limits members_of_group{0, 100'000};
inline constexpr Limits a_priority{-1'000'000, 1'000'000};
inline constexpr Limits a_time_limit{1, 365LL * 24 * 60 * 60};  // a year
inline constexpr Limits a_grace{0, 3600};
inline constexpr Limits an_exit_code{0, 255};
inline constexpr Limits a_time_to_get_ready{1, 3600};
inline constexpr Limits a_digest{64, 64};
inline constexpr Limits a_user{0, 255};
inline constexpr Limits a_cmdline{0, 2047};           // a VMM's (devices/abi/address_map.h)
inline constexpr Limits size_of_volume{1, 16 << 20};  // 16 TiB, ext4's largest file
inline constexpr Limits some_volumes{0, 8};
inline constexpr Limits some_storages{0, 8};
inline constexpr Limits an_interval{1, 24LL * 60 * 60};  // a day
inline constexpr Limits copies_of_checkpoint{1, 2};
inline constexpr Limits a_quota{0, std::int64_t{1} << 40};
inline constexpr Limits uses_of_token{1, 1000};
inline constexpr Limits life_of_token{2, 3600};   // as long as a lease of the store may be
inline constexpr Limits a_peer_address{2, 45};    // of IPv6, with an IPv4 address in it
inline constexpr Limits a_certificate{1, 16384};  // with the authority's behind it, some 1200
inline constexpr Limits a_certificate_request{1, 4096};  // one of P-256 has 400
inline constexpr Limits a_subnet{9, 18};
inline constexpr Limits an_address{0, 15};

template <>
struct Names<Scheduling> {
    static constexpr std::array<std::pair<std::string_view, Scheduling>, 3> values{{
        {"enabled", Scheduling::enabled},
        {"cordoned", Scheduling::cordoned},
        {"draining", Scheduling::draining},
    }};
};

template <>
struct Names<RestartPolicy> {
    static constexpr std::array<std::pair<std::string_view, RestartPolicy>, 3> values{{
        {"never", RestartPolicy::never},
        {"on_failure", RestartPolicy::on_failure},
        {"always", RestartPolicy::always},
    }};
};

template <>
struct Names<HostFailurePolicy> {
    static constexpr std::array<std::pair<std::string_view, HostFailurePolicy>, 3> values{{
        {"none", HostFailurePolicy::none},
        {"restart", HostFailurePolicy::restart},
        {"restore", HostFailurePolicy::restore},
    }};
};

template <>
struct Names<ImageKind> {
    static constexpr std::array<std::pair<std::string_view, ImageKind>, 3> values{{
        {"root", ImageKind::root},
        {"kernel", ImageKind::kernel},
        {"initramfs", ImageKind::initramfs},
    }};
};

template <>
struct Names<Phase> {
    static constexpr std::array<std::pair<std::string_view, Phase>, 6> values{{
        {"pending", Phase::pending},
        {"starting", Phase::starting},
        {"running", Phase::running},
        {"stopping", Phase::stopping},
        {"succeeded", Phase::succeeded},
        {"failed", Phase::failed},
    }};
};

template <>
struct Names<Spreading> {
    static constexpr std::array<std::pair<std::string_view, Spreading>, 2> values{{
        {"bin_pack", Spreading::bin_pack},
        {"spread", Spreading::spread},
    }};
};

template <>
struct Names<AntiAffinity> {
    static constexpr std::array<std::pair<std::string_view, AntiAffinity>, 3> values{{
        {"none", AntiAffinity::none},
        {"host", AntiAffinity::host},
        {"zone", AntiAffinity::zone},
    }};
};

template <>
struct Names<Assignment::Wanted> {
    static constexpr std::array<std::pair<std::string_view, Assignment::Wanted>, 2> values{{
        {"run", Assignment::Wanted::run},
        {"stop", Assignment::Wanted::stop},
    }};
};

template <>
struct Names<OnSuspicion> {
    static constexpr std::array<std::pair<std::string_view, OnSuspicion>, 2> values{{
        {"wait", OnSuspicion::wait},
        {"replace", OnSuspicion::replace},
    }};
};

template <>
struct Description<Resources> {
    static constexpr std::string_view name = "resources";
    static constexpr auto fields = std::tuple{
        required("memory_mib", &Resources::memory_mib),
        required("vcpu_millis", &Resources::vcpu_millis),
        required("microvms", &Resources::microvms),
    };
};

template <>
struct Description<Host> {
    static constexpr std::string_view name = "host";
    static constexpr auto fields = std::tuple{
        required("name", &Host::name, a_name, Form::name),
        optional("zone", &Host::zone, a_name, Form::name),
        optional("labels", &Host::labels, some_labels),
        optional("cpu_model", &Host::cpu_model, a_sentence),
        optional("peer_address", &Host::peer_address, {0, 261}),  // a host name, ':' and a port
        required("allocatable", &Host::allocatable),
        optional("scheduling", &Host::scheduling),
        optional("certificate_expires", &Host::certificate_expires, a_sentence),
        optional("authority_expires", &Host::authority_expires, a_sentence),
        optional("renews_certificates", &Host::renews_certificates),
        optional("memory_pressure", &Host::memory_pressure, a_sentence),
        optional("storages", &Host::storages, some_storages, Form::name),
    };
};

template <>
struct Description<SchedulingChange> {
    static constexpr std::string_view name = "scheduling";
    static constexpr auto fields = std::tuple{
        required("scheduling", &SchedulingChange::scheduling),
    };
};

template <>
struct Description<Heartbeat> {
    static constexpr std::string_view name = "heartbeat";
    static constexpr auto fields = std::tuple{
        required("epoch", &Heartbeat::epoch),
        required("sequence", &Heartbeat::sequence),
        optional("sent_ns", &Heartbeat::sent_ns),
        optional("runs_until_ns", &Heartbeat::runs_until_ns),
    };
};

template <>
struct Description<Assignment> {
    static constexpr std::string_view name = "assignment";
    static constexpr auto fields = std::tuple{
        required("epoch", &Assignment::epoch),
        required("wanted", &Assignment::wanted),
    };
};

template <>
struct Description<CheckpointPlan> {
    static constexpr std::string_view name = "checkpoint";
    static constexpr auto fields = std::tuple{
        optional("interval_s", &CheckpointPlan::interval_s, an_interval),
        optional("copies", &CheckpointPlan::copies, copies_of_checkpoint),
    };
};

template <>
struct Description<Checkpoint> {
    static constexpr std::string_view name = "checkpoint";
    static constexpr auto fields = std::tuple{
        required("placement", &Checkpoint::placement),
        required("generation", &Checkpoint::generation),
        required("hosts", &Checkpoint::hosts, {0, 2}, Form::name),
        optional("cpu_model", &Checkpoint::cpu_model, a_sentence),
        optional("taken_at", &Checkpoint::taken_at, a_time),
        optional("sent_bytes", &Checkpoint::sent_bytes),
        optional("pause_us", &Checkpoint::pause_us),
        optional("failure", &Checkpoint::failure, a_sentence),
    };
};

template <>
struct Description<Deletion> {
    static constexpr std::string_view name = "deletion";
    static constexpr auto fields = std::tuple{
        optional("grace_s", &Deletion::grace_s, a_grace),
    };
};

template <>
struct Description<MicroVmSpec> {
    static constexpr std::string_view name = "microvm";
    static constexpr auto fields = std::tuple{
        // Empty in a group's: whoever needs one says so.
        optional("name", &MicroVmSpec::name, a_name, Form::name),
        optional("project", &MicroVmSpec::project, {1, 63}, Form::name),
        optional("group", &MicroVmSpec::group, a_name, Form::name),
        // One of these four, or the last two of them, as json.cpp checks.
        optional("program", &MicroVmSpec::program, a_path),
        optional("template", &MicroVmSpec::from_template, a_name, Form::name),
        optional("image", &MicroVmSpec::image, a_name, Form::name),
        optional("kernel", &MicroVmSpec::kernel, a_name, Form::name),
        optional("initramfs", &MicroVmSpec::initramfs, a_name, Form::name),
        optional("cmdline", &MicroVmSpec::cmdline, a_cmdline),
        optional("arguments", &MicroVmSpec::arguments, some_words),
        optional("environment", &MicroVmSpec::environment, some_words, Form::assignment),
        optional("memory_mib", &MicroVmSpec::memory_mib, memory_of_microvm),
        optional("vcpus", &MicroVmSpec::vcpus, vcpus_of_microvm),
        optional("labels", &MicroVmSpec::labels, some_labels),
        optional("metadata", &MicroVmSpec::metadata, some_labels),
        optional("priority", &MicroVmSpec::priority, a_priority),
        optional("restart", &MicroVmSpec::restart),
        optional("on_host_failure", &MicroVmSpec::on_host_failure),
        optional("checkpoint", &MicroVmSpec::checkpoint),
        optional("time_limit_s", &MicroVmSpec::time_limit_s, a_time_limit),
        optional("vsock", &MicroVmSpec::vsock),
        optional("exec", &MicroVmSpec::exec),
        optional("stop", &MicroVmSpec::stop),
        optional("network", &MicroVmSpec::network, a_name, Form::name),
        optional("volumes", &MicroVmSpec::volumes, some_volumes, Form::name),
    };
};

template <>
struct Description<Placement> {
    static constexpr std::string_view name = "placement";
    static constexpr auto fields = std::tuple{
        required("host", &Placement::host, a_name, Form::name),
        required("epoch", &Placement::epoch),
    };
};

template <>
struct Description<Move> {
    static constexpr std::string_view name = "move";
    static constexpr auto fields = std::tuple{
        required("from", &Move::from, a_name, Form::name),
        required("from_epoch", &Move::from_epoch),
        required("to", &Move::to, a_name, Form::name),
        required("to_epoch", &Move::to_epoch),
        optional("address", &Move::address, a_sentence),
        optional("failure", &Move::failure, a_sentence),
        optional("is_lost", &Move::is_lost),
    };
};

template <>
struct Description<Leader> {
    static constexpr std::string_view name = "leader";
    static constexpr auto fields = std::tuple{
        required("host", &Leader::host, a_name, Form::name),
    };
};

template <>
struct Description<Failover> {
    static constexpr std::string_view name = "failover";
    static constexpr auto fields = std::tuple{
        required("stopped", &Failover::stopped, a_sentence),
    };
};

template <>
struct Description<Drain> {
    static constexpr std::string_view name = "drain";
    static constexpr auto fields = std::tuple{
        required("moving", &Drain::moving),
        required("waiting", &Drain::waiting),
        optional("stays", &Drain::stays, some_words),
    };
};

template <>
struct Description<MicroVmStatus> {
    static constexpr std::string_view name = "status";
    static constexpr auto fields = std::tuple{
        required("phase", &MicroVmStatus::phase),
        optional("host", &MicroVmStatus::host, a_name, Form::name),
        optional("epoch", &MicroVmStatus::epoch),
        optional("restarts", &MicroVmStatus::restarts),
        optional("exit_code", &MicroVmStatus::exit_code, an_exit_code),
        optional("reason", &MicroVmStatus::reason, a_sentence),
        optional("started_at", &MicroVmStatus::started_at, a_time),
        optional("ended_at", &MicroVmStatus::ended_at, a_time),
        optional("address", &MicroVmStatus::address, an_address),
        optional("vsock", &MicroVmStatus::vsock, a_path),
    };
};

template <>
struct Description<Network> {
    static constexpr std::string_view name = "network";
    static constexpr auto fields = std::tuple{
        required("name", &Network::name, a_name, Form::name),
        required("subnet", &Network::subnet, a_subnet),
        optional("nat", &Network::nat),
    };
};

template <>
struct Description<Address> {
    static constexpr std::string_view name = "address";
    static constexpr auto fields = std::tuple{
        required("microvm", &Address::microvm, a_name, Form::name),
    };
};

template <>
struct Description<Project> {
    static constexpr std::string_view name = "project";
    static constexpr auto fields = std::tuple{
        required("name", &Project::name, a_name, Form::name),
        optional("microvms", &Project::microvms, a_quota),
        optional("memory_mib", &Project::memory_mib, a_quota),
        optional("vcpus", &Project::vcpus, a_quota),
    };
};

template <>
struct Description<Volume> {
    static constexpr std::string_view name = "volume";
    static constexpr auto fields = std::tuple{
        required("name", &Volume::name, a_name, Form::name),
        required("size_mib", &Volume::size_mib, size_of_volume),
        optional("host", &Volume::host, a_name, Form::name),
        optional("takeovers", &Volume::takeovers),
        optional("storage", &Volume::storage, a_name, Form::name),
        optional("group", &Volume::group, a_name, Form::name),
        optional("group_created", &Volume::group_created),
    };
};

template <>
struct Description<JoinTokenSpec> {
    static constexpr std::string_view name = "token";
    static constexpr auto fields = std::tuple{
        optional("uses", &JoinTokenSpec::uses, uses_of_token),
        optional("ttl_s", &JoinTokenSpec::ttl_s, life_of_token),
    };
};

template <>
struct Description<JoinToken> {
    static constexpr std::string_view name = "token";
    static constexpr auto fields = std::tuple{
        required("uses", &JoinToken::uses, uses_of_token),
        required("expires_s", &JoinToken::expires_s, a_quota),
    };
};

template <>
struct Description<JoinRequest> {
    static constexpr std::string_view name = "join";
    static constexpr auto fields = std::tuple{
        required("secret", &JoinRequest::secret, a_name),
        required("host", &JoinRequest::host, a_name, Form::name),
        required("address", &JoinRequest::address, a_peer_address),
        required("request", &JoinRequest::request, a_certificate_request),
    };
};

template <>
struct Description<RenewalRequest> {
    static constexpr std::string_view name = "renewal";
    static constexpr auto fields = std::tuple{
        required("certificate", &RenewalRequest::certificate, a_certificate),
        required("request", &RenewalRequest::request, a_certificate_request),
    };
};

template <>
struct Description<BundleCopy> {
    static constexpr std::string_view name = "copy";
    static constexpr auto fields = std::tuple{
        required("digest", &BundleCopy::digest, a_digest),
    };
};

template <>
struct Description<TemplateSpec> {
    static constexpr std::string_view name = "template";
    static constexpr auto fields = std::tuple{
        required("name", &TemplateSpec::name, a_name, Form::name),
        optional("program", &TemplateSpec::program, a_path),
        optional("arguments", &TemplateSpec::arguments, some_words),
        optional("environment", &TemplateSpec::environment, some_words, Form::assignment),
        optional("from", &TemplateSpec::from, a_path),
        optional("memory_mib", &TemplateSpec::memory_mib, memory_of_microvm),
        optional("vcpus", &TemplateSpec::vcpus, vcpus_of_microvm),
        optional("vsock", &TemplateSpec::vsock),
        optional("exec", &TemplateSpec::exec),
        optional("network", &TemplateSpec::network),
        optional("ready_line", &TemplateSpec::ready_line, a_sentence),
        optional("timeout_s", &TemplateSpec::timeout_s, a_time_to_get_ready),
    };
};

template <>
struct Description<Template> {
    static constexpr std::string_view name = "template";
    static constexpr auto fields = std::tuple{
        required("name", &Template::name, a_name, Form::name),
        required("digest", &Template::digest, a_digest),
        optional("program", &Template::program, a_path),
        required("memory_mib", &Template::memory_mib, memory_of_microvm),
        required("vcpus", &Template::vcpus, vcpus_of_microvm),
        required("vsock", &Template::vsock),
        optional("size_bytes", &Template::size_bytes),
        optional("exec", &Template::exec),
        optional("network", &Template::network),
    };
};

template <>
struct Description<ImageSpec> {
    static constexpr std::string_view name = "image";
    static constexpr auto fields = std::tuple{
        required("name", &ImageSpec::name, a_name, Form::name),
        required("from", &ImageSpec::from, a_path),
        optional("cmdline", &ImageSpec::cmdline, a_cmdline),
    };
};

template <>
struct Description<Image> {
    static constexpr std::string_view name = "image";
    static constexpr auto fields = std::tuple{
        required("name", &Image::name, a_name, Form::name),
        required("digest", &Image::digest, a_digest),
        optional("from", &Image::from, a_path),
        optional("entrypoint", &Image::entrypoint, some_words),
        optional("arguments", &Image::arguments, some_words),
        optional("environment", &Image::environment, some_words, Form::assignment),
        optional("working_directory", &Image::working_directory, a_path),
        optional("user", &Image::user, a_user),
        optional("size_bytes", &Image::size_bytes),
        optional("kind", &Image::kind),
        optional("cmdline", &Image::cmdline, a_cmdline),
    };
};

template <>
struct Description<OciDefaults> {
    static constexpr std::string_view name = "config";
    static constexpr auto fields = std::tuple{
        optional("Entrypoint", &OciDefaults::entrypoint, some_words),
        optional("Cmd", &OciDefaults::arguments, some_words),
        optional("Env", &OciDefaults::environment, some_words, Form::assignment),
        optional("WorkingDir", &OciDefaults::working_directory, a_path),
        optional("User", &OciDefaults::user, a_user),
    };
};

template <>
struct Description<OciConfig> {
    static constexpr std::string_view name = "the image's configuration";
    static constexpr auto fields = std::tuple{
        required("architecture", &OciConfig::architecture, a_name),
        required("os", &OciConfig::os, a_name),
        optional("config", &OciConfig::config),
    };
};

template <>
struct Description<VolumeClaim> {
    static constexpr std::string_view name = "volume";
    static constexpr auto fields = std::tuple{
        required("name", &VolumeClaim::name, a_name, Form::name),
        required("size_mib", &VolumeClaim::size_mib, size_of_volume),
        optional("storage", &VolumeClaim::storage, a_name, Form::name),
    };
};

template <>
struct Description<Group> {
    static constexpr std::string_view name = "group";
    static constexpr auto fields = std::tuple{
        required("name", &Group::name, a_name, Form::name),
        required("count", &Group::count, members_of_group),
        required("microvm", &Group::microvm),
        optional("spreading", &Group::spreading),
        optional("anti_affinity", &Group::anti_affinity),
        optional("host_labels", &Group::host_labels, some_labels),
        optional("on_suspicion", &Group::on_suspicion),
        optional("volumes", &Group::volumes, some_volumes),
    };
};

}  // namespace shoal::model
