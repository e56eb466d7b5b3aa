// Packets between the driver and lwIP.
#include "guest/net/interface.h"

#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/nd6.h>
#include <lwip/priv/tcp_priv.h>
#include <netif/ethernet.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace shoal::guest::net {
namespace {

constexpr std::uint16_t usual_mtu = 1500;
constexpr unsigned packets_max = ChainQueue::size;  // in one turn
constexpr std::size_t packet_bytes_max = 0xFFFF;    // as lwIP counts them

// In the header of a received packet's page: what makes a pbuf of it.
struct PagePacket {
    pbuf_custom custom;
    VirtioNet* device;
};
static_assert(sizeof(PagePacket) <= VirtioNet::page_header_bytes);

void free_page_packet(pbuf* packet) {
    // SAFETY: custom pbufs are made by wrap() alone, at the start of a page.
    auto* page = reinterpret_cast<std::byte*>(packet);
    reinterpret_cast<PagePacket*>(page)->device->give_back(page);
}

pbuf* copy_of(std::span<const VirtioNet::Piece> pieces) {
    const auto size = static_cast<std::uint16_t>(pieces.front().size_bytes);
    pbuf* packet = pbuf_alloc(PBUF_RAW, size, PBUF_RAM);
    if (packet != nullptr) {
        std::memcpy(packet->payload, pieces.front().page + pieces.front().offset, size);
    }
    return packet;
}

}  // namespace

Interface::Interface(VirtioNet& device, const char* host_name)
    : device_{device}, transmitter_{device} {
    netif_add_noaddr(&netif_, this, &Interface::initialize, ethernet_input);
    netif_set_hostname(&netif_, host_name);
    netif_set_up(&netif_);
    netif_set_link_up(&netif_);
}

err_t Interface::initialize(netif* interface) {
    const VirtioNet& device = static_cast<Interface*>(interface->state)->device_;
    interface->name[0] = 'e';
    interface->name[1] = 't';
    interface->output = etharp_output;
    interface->output_ip6 = ethip6_output;
    interface->linkoutput = &Interface::send;
    interface->mtu = device.mtu() == 0 ? usual_mtu : std::min(device.mtu(), usual_mtu);
    interface->mtu6 = interface->mtu;
    interface->hwaddr_len = ETH_HWADDR_LEN;
    std::memcpy(interface->hwaddr, device.mac().data(), ETH_HWADDR_LEN);
    interface->flags =
        NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_MLD6;
    if (device.completes_checksums()) {
        interface->chksum_flags &= static_cast<std::uint16_t>(~NETIF_CHECKSUM_GEN_TCP);
    }
    return ERR_OK;
}

void Interface::renew() {
    device_.read_mac();
    std::memcpy(netif_.hwaddr, device_.mac().data(), ETH_HWADDR_LEN);
    etharp_cleanup_netif(&netif_);
    nd6_cleanup_netif(&netif_);
    nd6_restart_netif(&netif_);
}

// Custom pbufs, one for each page, chained.
pbuf* Interface::wrap(const VirtioNet::Packet& packet) {
    pbuf* first = nullptr;
    for (const VirtioNet::Piece& piece : packet.pieces) {
        auto* place = new (piece.page) PagePacket{};
        place->device = &device_;
        place->custom.custom_free_function = free_page_packet;
        const auto size = static_cast<std::uint16_t>(piece.size_bytes);
        pbuf* next = pbuf_alloced_custom(PBUF_RAW, size, PBUF_REF, &place->custom,
                                         piece.page + piece.offset, size);
        if (first == nullptr) {
            first = next;
        } else {
            pbuf_cat(first, next);
        }
    }
    return first;
}

void Interface::deliver(const VirtioNet::Packet& packet) {
    std::size_t size_bytes = 0;
    for (const VirtioNet::Piece& piece : packet.pieces) {
        size_bytes += piece.size_bytes;
    }
    const bool is_given = packet.pages == VirtioNet::Pages::given;
    if (size_bytes > packet_bytes_max) {
        for (const VirtioNet::Piece& piece : packet.pieces) {
            device_.give_back(piece.page);
        }
        return;
    }
    pbuf* received = is_given ? wrap(packet) : copy_of(packet.pieces);
    if (received == nullptr) {
        return;
    }
    constexpr std::uint16_t checks = NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP;
    if (packet.checksum == VirtioNet::Checksum::good) {
        netif_.chksum_flags &= static_cast<std::uint16_t>(~checks);
    } else {
        netif_.chksum_flags |= checks;
    }
    if (netif_.input(received, &netif_) != ERR_OK) {
        pbuf_free(received);
    }
}

// Once there is room again. Not within lwIP's own output.
void Interface::resume_output() {
    if (device_.take_wants_room()) {
        for (tcp_pcb* connection = tcp_active_pcbs; connection != nullptr;
             connection = connection->next) {
            tcp_output(connection);
        }
    }
}

Interface::Traffic Interface::poll() {
    Traffic traffic = transmitter_.take_sent() ? Traffic::some : Traffic::none;
    if (traffic == Traffic::some) {
        resume_output();
    }
    for (unsigned count = 0; count < packets_max; ++count) {
        const auto packet = device_.receive();
        if (!packet) {
            break;
        }
        deliver(*packet);
        traffic = Traffic::some;
    }
    return traffic;
}

err_t Interface::send(netif* interface, pbuf* packet) {
    return static_cast<Interface*>(interface->state)->transmitter_.send(packet);
}

}  // namespace shoal::guest::net
