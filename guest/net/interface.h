// Interface: a network device as lwIP sees it (its struct netif).
//
// Packets go to lwIP in the pages that the device filled, and from lwIP to the device in the memory
// where they lie. TCP's checksums are left to a device that can. Called by one thread, never from
// within lwIP except for what lwIP itself calls.
#pragma once

#include <lwip/netif.h>

#include <cstddef>

#include "guest/drivers/virtio_net.h"
#include "guest/net/transmitter.h"

namespace shoal::guest::net {

class Interface {
public:
    // Adds the device to lwIP's interfaces, up and without an address. `host_name` lives for ever.
    Interface(VirtioNet& device, const char* host_name);
    Interface(const Interface&) = delete;
    Interface& operator=(const Interface&) = delete;

    [[nodiscard]] netif& lwip() noexcept { return netif_; }

    // The device may have another address now, and other neighbours: those that were known are
    // forgotten.
    void renew();

    enum class Traffic { none, some };
    // Hands over what has arrived, up to a queue of it, and frees what has been sent.
    Traffic poll();
    // Lets the device send what lwIP has put out since.
    void flush() {
        transmitter_.flush();
        device_.flush();
    }
    // Before a wait. False when something has arrived meanwhile.
    [[nodiscard]] bool arm_interrupts() { return device_.arm_interrupts(); }

private:
    static err_t initialize(netif* interface);
    static err_t send(netif* interface, pbuf* packet);

    void deliver(const VirtioNet::Packet& packet);
    [[nodiscard]] pbuf* wrap(const VirtioNet::Packet& packet);
    void resume_output();

    VirtioNet& device_;
    Transmitter transmitter_;
    netif netif_{};
};

}  // namespace shoal::guest::net
