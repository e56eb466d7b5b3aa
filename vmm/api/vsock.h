// /vsock
#pragma once

#include "vmm/api/action.h"

namespace shoal::api {

template <>
struct Description<vmm::VsockConfig> {
    using Body = vmm::VsockConfig;
    static constexpr std::string_view name = "Vsock";
    static constexpr std::tuple fields{
        sparse("vsock_id", &Body::vsock_id),
        // 0 to 2 are the hypervisor's, the loopback's and the host's.
        required("guest_cid", &Body::guest_cid, {3, UINT32_MAX}),
        required("uds_path", &Body::uds_path),
    };
};

[[nodiscard]] ParsedRequest parse_put_vsock(const Call& call);

// Listens on the path. Throws Fault.
void set_vsock(Context& context, const vmm::VsockConfig& vsock);

}  // namespace shoal::api
