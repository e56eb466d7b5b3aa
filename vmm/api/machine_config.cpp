// vCPUs and memory, and what goes together.
#include "vmm/api/machine_config.h"

namespace shoal::api {
namespace {

void check(const vmm::MachineShape& machine, const std::optional<vmm::BalloonConfig>& balloon) {
    const bool is_odd = machine.vcpu_count > 1 && machine.vcpu_count % 2 == 1;
    if (machine.vcpu_count < vcpu_limits.lowest || machine.vcpu_count > vcpu_limits.highest ||
        (machine.smt && is_odd)) {
        throw Fault{
            "The number of vCPUs must be greater than 0, less than 32 and must be 1 or an "
            "even number if SMT is enabled."};
    }
    const bool is_split = machine.huge_pages != vmm::HugePages::none && machine.mem_size_mib % 2;
    if (machine.mem_size_mib == 0 || is_split) {
        throw Fault{
            "The memory size (MiB) is either 0, or not a multiple of the configured page "
            "size."};
    }
    if (machine.huge_pages == vmm::HugePages::hugetlbfs_2m) {
        throw Fault{"Huge pages of hugetlbfs are not supported yet."};
    }
    if (balloon && machine.mem_size_mib < balloon->amount_mib) {
        throw Fault{
            "The memory size (MiB) is smaller than the previously set balloon device "
            "target size."};
    }
    if (machine.cpu_template) {
        throw Fault{"CPU templates are not supported yet."};
    }
}

Deprecation deprecation_of(const std::optional<vmm::CpuTemplate>& cpu_template) {
    return cpu_template ? Deprecation::deprecated : Deprecation::none;
}

template <typename Value>
void replace(Value& value, const std::optional<Value>& update) {
    value = update.value_or(value);
}

vmm::MachineShape updated(vmm::MachineShape machine, const MachineUpdate& update) {
    replace(machine.vcpu_count, update.vcpu_count);
    replace(machine.mem_size_mib, update.mem_size_mib);
    replace(machine.smt, update.smt);
    replace(machine.track_dirty_pages, update.track_dirty_pages);
    replace(machine.huge_pages, update.huge_pages);
    if (update.cpu_template) {
        machine.cpu_template = update.cpu_template;
    }
    return machine;
}

bool is_empty(const MachineUpdate& update) {
    bool result = true;
    for_each_field<MachineUpdate>(
        [&](const auto& field) { result = result && !(update.*field.member); });
    return result;
}

}  // namespace

void set_machine_config(Context& context, vmm::MachineShape machine) {
    if (machine.cpu_template == vmm::CpuTemplate::none) {
        machine.cpu_template.reset();
    }
    with_prefix("Machine config error: ", [&] { check(machine, context.config.balloon); });
    context.config.machine = machine;
    context.is_machine_configured = true;
}

ParsedRequest parse_get_machine_config(const Call&) {
    return {[](Context& context) { return ok(context.config.machine); }};
}

ParsedRequest parse_put_machine_config(const Call& call) {
    const auto machine = parse_body<vmm::MachineShape>(call);
    return {[machine](Context& context) {
                set_machine_config(context, machine);
                return no_content();
            },
            deprecation_of(machine.cpu_template)};
}

ParsedRequest parse_patch_machine_config(const Call& call) {
    const auto update = parse_body<MachineUpdate>(call);
    if (is_empty(update)) {
        throw Fault{"Empty PATCH request."};
    }
    return {[update](Context& context) {
                set_machine_config(context, updated(context.config.machine, update));
                return no_content();
            },
            deprecation_of(update.cpu_template)};
}

}  // namespace shoal::api
