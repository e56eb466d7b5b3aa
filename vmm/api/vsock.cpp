// The vsock device.
#include "vmm/api/vsock.h"

namespace shoal::api {

void set_vsock(Context& context, const vmm::VsockConfig& vsock) {
    with_prefix("Vsock config error: ", [&] { context.microvm.set_vsock(vsock); });
    context.config.vsock = vsock;
    context.config.vsock->vsock_id.reset();
}

ParsedRequest parse_put_vsock(const Call& call) {
    const auto vsock = parse_body<vmm::VsockConfig>(call);
    return {[vsock](Context& context) {
                set_vsock(context, vsock);
                return no_content();
            },
            vsock.vsock_id ? Deprecation::deprecated : Deprecation::none};
}

}  // namespace shoal::api
