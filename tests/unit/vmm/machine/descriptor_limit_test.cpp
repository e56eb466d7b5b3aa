#include "vmm/machine/descriptor_limit.h"

#include <doctest/doctest.h>

namespace shoal::vmm {
namespace {

TEST_CASE("a guest's connections leave 128 descriptors for everything else") {
    const auto connections = [](rlim_t descriptors) {
        return vsock_limits(descriptors).max_connections;
    };
    CHECK(connections(RLIM_INFINITY) == 4096);
    CHECK(connections(4096 + 128) == 4096);
    CHECK(connections(4096 + 127) == 4095);
    CHECK(connections(1024) == 896);
    CHECK(connections(129) == 1);
    CHECK(connections(128) == 0);
    CHECK(connections(0) == 0);
    CHECK(vsock_limits(1024).tick_ms == virtio::VsockLimits{}.tick_ms);
}

}  // namespace
}  // namespace shoal::vmm
