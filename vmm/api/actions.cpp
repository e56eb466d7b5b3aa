// What a microVM is told to do. Each action has a state of its own in which it may be.
#include "vmm/api/actions.h"

#include <algorithm>

#include "vmm/api/endpoints.h"

namespace shoal::api {
namespace {

Response flush_metrics(Context& context) {
    check_state(Allowed::after_start, context.microvm.state());
    if (!context.metrics.write()) {
        throw Fault{"Internal VMM error: the metrics' target did not take the line."};
    }
    return no_content();
}

Response send_ctrl_alt_del(Context& context) {
    check_state(Allowed::after_start, context.microvm.state());
    with_prefix("Internal VMM error: ", [&] { context.microvm.send_ctrl_alt_del(); });
    return no_content();
}

Response start(Context& context) {
    check_state(Allowed::before_start, context.microvm.state());
    start_microvm(context);
    return no_content();
}

void check_huge_pages(const vmm::MicrovmConfig& config) {
    const auto shared = std::ranges::find_if(
        config.drives, [](const vmm::DriveConfig& drive) { return drive.socket.has_value(); });
    if (config.machine.huge_pages == vmm::HugePages::transparent && shared != config.drives.end()) {
        throw Fault{
            "Memory with transparent huge pages cannot be shared with the process behind "
            "the drive " +
            shared->drive_id + "."};
    }
}

}  // namespace

void start_microvm(Context& context) {
    with_prefix("Start microvm error: ", [&] {
        if (!context.config.boot_source) {
            throw Fault{"Cannot start microvm without kernel configuration."};
        }
        check_huge_pages(context.config);
        context.microvm.start(context.config);
    });
}

ParsedRequest parse_put_actions(const Call& call) {
    switch (parse_body<InstanceAction>(call).action_type) {
        case ActionType::flush_metrics:
            return {flush_metrics};
        case ActionType::instance_start:
            return {start};
        case ActionType::send_ctrl_alt_del:
            return {send_ctrl_alt_del};
    }
    return {};
}

}  // namespace shoal::api
