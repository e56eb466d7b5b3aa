// The table.
#include "vmm/api/endpoints.h"

#include <array>

#include "vmm/api/actions.h"
#include "vmm/api/balloon.h"
#include "vmm/api/boot_source.h"
#include "vmm/api/drive.h"
#include "vmm/api/entropy.h"
#include "vmm/api/instance_info.h"
#include "vmm/api/logger.h"
#include "vmm/api/machine_config.h"
#include "vmm/api/metrics.h"
#include "vmm/api/network_interface.h"
#include "vmm/api/serial.h"
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
constexpr std::array table{
    Endpoint{get,    "",                       always,        parse_get_instance_info,        "instance_info", no_body},
    Endpoint{get,    "version",                always,        parse_get_version,              "vmm_version", no_body},
    Endpoint{get,    "vm/config",              always,        parse_get_vm_config,            "vm_config", no_body},
    Endpoint{patch,  "vm",                     after_start,   parse_patch_vm,                 "vm"},
    Endpoint{put,    "actions",                decided_later, parse_put_actions,              "actions"},
    Endpoint{get,    "machine-config",         always,        parse_get_machine_config,       "machine_cfg", no_body},
    Endpoint{put,    "machine-config",         before_start,  parse_put_machine_config,       "machine_cfg"},
    Endpoint{patch,  "machine-config",         before_start,  parse_patch_machine_config,     "machine_cfg"},
    Endpoint{put,    "boot-source",            before_start,  parse_put_boot_source,          "boot_source"},
    Endpoint{put,    "drives",                 decided_later, parse_put_drive,                "drive"},
    Endpoint{patch,  "drives",                 after_start,   parse_patch_drive,              "drive"},
    Endpoint{remove, "drives",                 after_start,   parse_remove_device,            "drive", no_body},
    Endpoint{put,    "network-interfaces",     decided_later, parse_put_network_interface,    "network"},
    Endpoint{patch,  "network-interfaces",     after_start,   parse_patch_network_interface,  "network"},
    Endpoint{remove, "network-interfaces",     after_start,   parse_remove_device,            "network", no_body},
    Endpoint{put,    "vsock",                  before_start,  parse_put_vsock,                "vsock"},
    Endpoint{put,    "entropy",                before_start,  parse_put_entropy,              "entropy"},
    Endpoint{put,    "serial",                 before_start,  parse_put_serial,               "serial"},
    Endpoint{get,    "balloon",                always,        parse_get_balloon,              "balloon", no_body},
    Endpoint{put,    "balloon",                before_start,  parse_put_balloon,              "balloon"},
    Endpoint{patch,  "balloon",                after_start,   parse_patch_balloon,            "balloon", optional_body},
    Endpoint{get,    "balloon/statistics",     after_start,   parse_get_balloon_statistics,   "balloon", no_body},
    Endpoint{patch,  "balloon/statistics",     after_start,   parse_patch_balloon_statistics, "balloon", optional_body},
    Endpoint{patch,  "balloon/hinting/start",  after_start,   parse_start_hinting,            "balloon", optional_body},
    Endpoint{get,    "balloon/hinting/status", after_start,   parse_get_hinting_status,       "balloon", no_body},
    Endpoint{patch,  "balloon/hinting/stop",   after_start,   parse_stop_hinting,             "balloon", optional_body},
    Endpoint{put,    "logger",                 before_start,  parse_put_logger,               "logger"},
    Endpoint{put,    "metrics",                before_start,  parse_put_metrics,              "metrics"},
    Endpoint{get,    "metrics",                always,        parse_get_metrics,              "metrics", no_body},  // ours
    // Still to come.
    Endpoint{put,    "snapshot",               always,        parse_other_snapshot,           "snapshot"},
    Endpoint{put,    "snapshot/create",        after_start,   parse_create_snapshot,          "snapshot_create"},
    Endpoint{put,    "snapshot/load",          before_start,  parse_load_snapshot,            "snapshot_load"},
    Endpoint{put,    "cpu-config",             before_start,  parse_cpu_config,               "cpu_cfg"},
    Endpoint{put,    "hotplug/memory",         before_start,  parse_memory_hotplug,           "hotplug_memory"},
    Endpoint{patch,  "hotplug/memory",         after_start,   parse_memory_hotplug,           "hotplug_memory"},
    Endpoint{get,    "hotplug/memory",         after_start,   parse_memory_hotplug,           "hotplug_memory", no_body},
    Endpoint{put,    "pmem",                   always,        parse_pmem,                     "pmem"},
    Endpoint{patch,  "pmem",                   after_start,   parse_pmem,                     "pmem"},
    Endpoint{remove, "pmem",                   after_start,   parse_remove_device,            "pmem", no_body},
    Endpoint{put,    "mmds/config",            before_start,  parse_mmds,                     "mmds"},
    Endpoint{put,    "mmds",                   always,        parse_mmds,                     "mmds"},
    Endpoint{patch,  "mmds",                   always,        parse_mmds,                     "mmds"},
    Endpoint{get,    "mmds",                   always,        parse_mmds,                     "mmds", no_body},
};
// clang-format on

}  // namespace

std::span<const Endpoint> endpoints() {
    return table;
}

void check_state(Allowed allowed, vmm::MicrovmState state) {
    const bool is_started = state != vmm::MicrovmState::not_started;
    if (allowed == Allowed::before_start && is_started) {
        throw Fault{
            "The requested operation is not supported after starting the microVM."};
    }
    if (allowed == Allowed::after_start && !is_started) {
        throw Fault{
            "The requested operation is not supported before starting the microVM."};
    }
}

}  // namespace shoal::api
