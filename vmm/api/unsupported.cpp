// What the endpoints that are still to come say.
#include "vmm/api/unsupported.h"

namespace shoal::api {
namespace {

ParsedRequest refuse(const char* text) {
    return {[text](Context&) -> Response { throw Fault{text}; }};
}

}  // namespace

ParsedRequest parse_other_snapshot(const Call& call) {
    const std::string_view name = call.path_rest.empty() ? "" : call.path_rest.front();
    throw Fault{"Invalid request method and/or path: PUT /snapshot/" + std::string{name} + "."};
}

ParsedRequest parse_cpu_config(const Call&) {
    return refuse("Configure CPU error: CPU configurations are not supported yet.");
}

ParsedRequest parse_memory_hotplug(const Call&) {
    return refuse("Memory hotplug config error: Memory hotplug is not supported yet.");
}

ParsedRequest parse_pmem(const Call& call) {
    static_cast<void>(parse_id(call));
    return refuse("Pmem config error: Pmem devices are not supported yet.");
}

ParsedRequest parse_mmds(const Call&) {
    return refuse("MMDS error: The metadata service is not supported yet.");
}

ParsedRequest parse_remove_device(const Call& call) {
    static_cast<void>(parse_id(call));
    return refuse(
        "PCI manager error: PCI is not enabled: unplugging a device is not supported yet.");
}

}  // namespace shoal::api
