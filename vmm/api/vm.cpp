// Pause and resume.
#include "vmm/api/vm.h"

namespace shoal::api {

ParsedRequest parse_patch_vm(const Call& call) {
    const VmState state = parse_body<Vm>(call).state;
    return {[state](Context& context) {
        with_prefix("Internal VMM error: ", [&] {
            state == VmState::paused ? context.microvm.pause() : context.microvm.resume();
        });
        return no_content();
    }};
}

}  // namespace shoal::api
