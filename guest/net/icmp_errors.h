// ICMP's errors, of which lwIP itself tells nobody.
#pragma once

namespace shoal::guest::net {

// From now on a UDP socket is told when nobody listens at its peer's port. Once, after lwip_init().
void expect_icmp_errors();

}  // namespace shoal::guest::net
