// Telling a network where addresses are now, when the microVM was loaded or moved there.
#pragma once

struct netif;

namespace shoal::guest::net {

// Says each of the interface's addresses to everybody: IPv4 by a gratuitous ARP request (RFC 5227,
// 3), IPv6 by an unsolicited neighbour advertisement (RFC 4861, 7.2.6). Caches of old are
// overwritten. What finds no memory is left out: the next packet tells, too.
void announce_addresses(netif& interface);

}  // namespace shoal::guest::net
