// The table.
#include "vmm/api/endpoints.h"

#include "vmm/api/actions.h"
#include "vmm/api/balloon.h"
#include "vmm/api/boot_source.h"
#include "vmm/api/drive.h"
#include "vmm/api/entropy.h"
#include "vmm/api/instance_info.h"
#include "vmm/api/logger.h"
#include "vmm/api/machine_config.h"
#include "vmm/api/metrics.h"
#include "vmm/api/migration.h"
#include "vmm/api/network_interface.h"
#include "vmm/api/serial.h"
#include "vmm/api/snapshot.h"
#include "vmm/api/unsupported.h"
#include "vmm/api/vm.h"
#include "vmm/api/vm_config.h"
#include "vmm/api/vsock.h"

namespace shoal::api {
namespace {

using enum Allowed;
using enum Method;
constexpr auto no_body = Endpoint::Body::none;
constexpr auto optional_body = Endpoint::Body::optional;

// clang-format off
constexpr Endpoint table[]{
    {get,    "",                        always,        parse_get_instance_info, "instance_info", no_body},
    {get,    "version",                 always,        parse_get_version, "vmm_version", no_body},
    {get,    "vm/config",               always,        parse_get_vm_config, "vm_config", no_body},
    {patch,  "vm",                      after_start,   parse_patch_vm, "vm"},
    {put,    "actions",                 decided_later, parse_put_actions, "actions"},
    {get,    "machine-config",          always,        parse_get_machine_config, "machine_cfg", no_body},
    {put,    "machine-config",          before_start,  parse_put_machine_config, "machine_cfg"},
    {patch,  "machine-config",          before_start,  parse_patch_machine_config, "machine_cfg"},
    {put,    "boot-source",             before_start,  parse_put_boot_source, "boot_source"},
    {put,    "drives",                  decided_later, parse_put_drive, "drive"},
    {patch,  "drives",                  after_start,   parse_patch_drive, "drive"},
    {remove, "drives",                  after_start,   parse_remove_device, "drive", no_body},
    {put,    "network-interfaces",      decided_later, parse_put_network_interface, "network"},
    {patch,  "network-interfaces",      after_start,   parse_patch_network_interface, "network"},
    {remove, "network-interfaces",      after_start,   parse_remove_device, "network", no_body},
    {put,    "vsock",                   before_start,  parse_put_vsock, "vsock"},
    {put,    "entropy",                 before_start,  parse_put_entropy, "entropy"},
    {put,    "serial",                  before_start,  parse_put_serial, "serial"},
    {get,    "balloon",                 always,        parse_get_balloon, "balloon", no_body},
    {put,    "balloon",                 before_start,  parse_put_balloon, "balloon"},
    {patch,  "balloon",                 after_start,   parse_patch_balloon, "balloon", optional_body},
    {get,    "balloon/statistics",      after_start,   parse_get_balloon_statistics, "balloon", no_body},
    {patch,  "balloon/statistics",      after_start,   parse_patch_balloon_statistics, "balloon", optional_body},
    {patch,  "balloon/hinting/start",   after_start,   parse_start_hinting, "balloon", optional_body},
    {get,    "balloon/hinting/status",  after_start,   parse_get_hinting_status, "balloon", no_body},
    {patch,  "balloon/hinting/stop",    after_start,   parse_stop_hinting, "balloon", optional_body},
    {put,    "logger",                  before_start,  parse_put_logger, "logger"},
    {put,    "metrics",                 before_start,  parse_put_metrics, "metrics"},
    {get,    "metrics",                 always,        parse_get_metrics, "metrics", no_body},  // ours
    {put,    "snapshot",                always,        parse_other_snapshot, "snapshot"},
    {put,    "snapshot/create",         after_start,   parse_create_snapshot, "snapshot_create"},
    {get,    "snapshot/create",         after_start,   parse_get_created_snapshot, "snapshot_create", no_body},  // ours
    {put,    "snapshot/load",           before_start,  parse_load_snapshot, "snapshot_load"},
    {put,    "snapshot/working-set",    after_start,   parse_record_working_set, "snapshot_working_set"},  // ours
    {get,    "migration",               always,        parse_get_migration, "migration", no_body},  // ours, as the next four
    {put,    "migration/send",          after_start,   parse_send_migration, "migration"},
    {put,    "migration/receive",       before_start,  parse_receive_migration, "migration"},
    {put,    "migration/cancel",        always,        parse_cancel_migration, "migration"},
    {put,    "migration/resolve",       always,        parse_resolve_migration, "migration"},
    // Still to come.
    {put,    "cpu-config",              before_start,  parse_cpu_config, "cpu_cfg"},
    {put,    "hotplug/memory",          before_start,  parse_memory_hotplug, "hotplug_memory"},
    {patch,  "hotplug/memory",          after_start,   parse_memory_hotplug, "hotplug_memory"},
    {get,    "hotplug/memory",          after_start,   parse_memory_hotplug, "hotplug_memory", no_body},
    {put,    "pmem",                    always,        parse_pmem, "pmem"},
    {patch,  "pmem",                    after_start,   parse_pmem, "pmem"},
    {remove, "pmem",                    after_start,   parse_remove_device, "pmem", no_body},
    {put,    "mmds/config",             before_start,  parse_mmds, "mmds"},
    {put,    "mmds",                    always,        parse_mmds, "mmds"},
    {patch,  "mmds",                    always,        parse_mmds, "mmds"},
    {get,    "mmds",                    always,        parse_mmds, "mmds", no_body},
};
// clang-format on

}  // namespace

std::span<const Endpoint> endpoints() {
    return table;
}

void check_state(Allowed allowed, vmm::MicrovmState state) {
    const bool is_started = state != vmm::MicrovmState::not_started;
    if (allowed == Allowed::before_start && is_started) {
        throw Fault{"The requested operation is not supported after starting the microVM."};
    }
    if (allowed == Allowed::after_start && !is_started) {
        throw Fault{"The requested operation is not supported before starting the microVM."};
    }
}

// Whoever asks may ask; who decides about the migration may decide. Nothing else may change a guest
// whose configuration is elsewhere already, or run one that may run elsewhere.
void check_while_migrating(const Endpoint& endpoint) {
    const bool decides =
        endpoint.path == "migration/cancel" || endpoint.path == "migration/resolve";
    if (endpoint.method != Method::get && !decides) {
        throw Fault{"The requested operation is not supported while a migration is going on."};
    }
}

}  // namespace shoal::api
