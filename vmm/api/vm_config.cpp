// One description for both directions, so that what is told can be taken.
#include "vmm/api/vm_config.h"

#include "vmm/api/balloon.h"
#include "vmm/api/boot_source.h"
#include "vmm/api/drive.h"
#include "vmm/api/entropy.h"
#include "vmm/api/logger.h"
#include "vmm/api/machine_config.h"
#include "vmm/api/metrics.h"
#include "vmm/api/network_interface.h"
#include "vmm/api/vsock.h"

namespace shoal::api {
namespace {

// A section that is still to come: null or, for a list, empty.
struct Unsupported {};

struct VmConfig {
    std::optional<vmm::BalloonConfig> balloon;
    std::vector<vmm::DriveConfig> drives;
    vmm::BootSourceConfig boot_source;
    std::optional<Unsupported> cpu_config;
    std::optional<LoggerConfig> logger;
    std::optional<vmm::MachineShape> machine_config;
    std::optional<MetricsConfig> metrics;
    std::optional<Unsupported> mmds_config;
    std::vector<vmm::NetworkInterfaceConfig> network_interfaces;
    std::optional<vmm::VsockConfig> vsock;
    std::optional<vmm::EntropyConfig> entropy;
    std::vector<Unsupported> pmem;
    std::optional<Unsupported> memory_hotplug;
};

void refuse_unsupported(const VmConfig& config) {
    const auto check = [](bool is_there, const char* section) {
        if (is_there) {
            throw Fault{"The section " + std::string{section} + " is not supported yet."};
        }
    };
    check(config.cpu_config.has_value(), "cpu-config");
    check(config.mmds_config.has_value(), "mmds-config");
    check(!config.pmem.empty(), "pmem");
    check(config.memory_hotplug.has_value(), "memory-hotplug");
}

}  // namespace

// Of any kind: an object or a path.
template <>
struct Description<Unsupported> {
    static constexpr std::string_view name = "Unsupported";
    static constexpr UnknownFields unknown_fields = UnknownFields::ignored;
    static constexpr std::tuple<> fields{};
};

template <>
struct Description<VmConfig> {
    using Body = VmConfig;
    static constexpr std::string_view name = "FullVmConfiguration";
    static constexpr UnknownFields unknown_fields = UnknownFields::ignored;
    static constexpr std::tuple fields{
        optional("balloon", &Body::balloon),
        required("drives", &Body::drives),
        required("boot-source", &Body::boot_source),
        optional("cpu-config", &Body::cpu_config),
        optional("logger", &Body::logger),
        optional("machine-config", &Body::machine_config),
        optional("metrics", &Body::metrics),
        optional("mmds-config", &Body::mmds_config),
        optional("network-interfaces", &Body::network_interfaces),
        optional("vsock", &Body::vsock),
        optional("entropy", &Body::entropy),
        optional("pmem", &Body::pmem),
        optional("memory-hotplug", &Body::memory_hotplug),
    };
};

ParsedRequest parse_get_vm_config(const Call&) {
    return {[](Context& context) {
        const vmm::MicrovmConfig& config = context.config;
        VmConfig document;
        document.balloon = config.balloon;
        document.drives = config.drives;
        document.boot_source = config.boot_source.value_or(vmm::BootSourceConfig{});
        document.machine_config = config.machine;
        document.network_interfaces = config.network_interfaces;
        document.vsock = config.vsock;
        document.entropy = config.entropy;
        return ok(document);
    }};
}

void apply_config_file(Context& context, std::string_view text) {
    const auto config = decode<VmConfig>(text);
    refuse_unsupported(config);
    if (config.logger) {
        set_logger(*config.logger);
    }
    if (config.metrics) {
        set_metrics(context, *config.metrics);
    }
    set_boot_source(context, config.boot_source);
    if (config.machine_config) {
        set_machine_config(context, *config.machine_config);
    }
    for (const vmm::DriveConfig& drive : config.drives) {
        set_drive(context, drive);
    }
    for (const vmm::NetworkInterfaceConfig& interface : config.network_interfaces) {
        set_network_interface(context, interface);
    }
    if (config.vsock) {
        set_vsock(context, *config.vsock);
    }
    if (config.balloon) {
        set_balloon(context, *config.balloon);
    }
    if (config.entropy) {
        set_entropy(context, *config.entropy);
    }
}

}  // namespace shoal::api
