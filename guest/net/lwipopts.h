/* How lwIP is built: for one thread that calls its raw API (NO_SYS), with memory from the kernel's
 * heap, and timers of our own (network.cpp) so that an idle microVM sleeps. */
#pragma once

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_TIMERS 0
#define LWIP_SOCKET 0
#define LWIP_NETCONN 0
#define LWIP_STATS 0
/* For ICMP only (icmp_errors.cpp). */
#define LWIP_RAW 1
/* For DHCP to ask for name servers: name_servers.cpp keeps them, and nobody resolves here. */
#define LWIP_DNS 1
#define DNS_MAX_SERVERS 2

/* Memory: port.cpp keeps a part of it back for the program. */
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 16
#define LWIP_SUPPORT_CUSTOM_PBUF 1
/* A packet that waits for its neighbour's address may outlive the pages of a send buffer: it is
 * copied unless its bytes lie in the pbuf itself. */
#define PBUF_NEEDS_COPY(p) (((p)->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS) == 0)

#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_ICMP 1
#define LWIP_DHCP 1
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define DHCP_DOES_ARP_CHECK 0
#define LWIP_IGMP 0
#define IP_FORWARD 0
#define LWIP_IPV6_FORWARD 0
#define LWIP_IPV6_DHCP6 0
#define LWIP_HOOK_ND6_GET_GW(netif, address) shoal_net_ip6_gateway()
#define LWIP_NETIF_HOSTNAME 1
#define IPV6_FRAG_COPYHEADER 1
#define IP_REASS_MAX_PBUFS 256
#define LWIP_NETIF_LOOPBACK 1
#define LWIP_HAVE_LOOPIF 1
#define LWIP_LOOPIF_MULTICAST 0
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHKSUM_ALGORITHM 3
#define ARP_TABLE_SIZE 64
#define ARP_QUEUEING 1
#define ETHARP_TRUST_IP_MAC 0
#define ETHARP_SUPPORT_STATIC_ENTRIES 0

/* Sockets' options, and what their addresses need. */
#define SO_REUSE 1
#define SO_REUSE_RXTOALL 0
#define IP_SOF_BROADCAST 1
#define IP_SOF_BROADCAST_RECV 0
#define LWIP_TCP_KEEPALIVE 1
#define TCP_LISTEN_BACKLOG 1
#define TCP_DEFAULT_LISTEN_BACKLOG 128
#define LWIP_NETBUF_RECVINFO 0

/* TCP: what a window needs at 1 Gbit/s and 2 ms, and twice that between hosts of one rack. */
#define TCP_MSS 1460
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 3
#define TCP_WND (384 * 1024)
#define TCP_WND_UPDATE_THRESHOLD (TCP_WND / 4)
#define TCP_SND_BUF (256 * 1024)
#define TCP_SND_QUEUELEN 1024
#define TCP_SNDLOWAT (32 * 1024)
#define TCP_SNDQUEUELOWAT 512
#define TCP_OVERSIZE TCP_MSS
#define LWIP_TCP_SACK_OUT 1
#define TCP_OOSEQ_MAX_BYTES TCP_WND
#define MEMP_NUM_TCP_SEG TCP_SND_QUEUELEN
#define TCP_MSL 30000UL
