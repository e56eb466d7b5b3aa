// The one network: devices, addresses, events.
#include "guest/net/network.h"

#include <lwip/dhcp.h>
#include <lwip/init.h>
#include <lwip/nd6.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>

#include <new>
#include <vector>

#include "guest/kernel/boot/ip_word.h"
#include "guest/kernel/clock.h"
#include "guest/kernel/generation.h"
#include "guest/kernel/message.h"
#include "guest/kernel/panic.h"
#include "guest/kernel/process.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/net/announcement.h"
#include "guest/net/icmp_errors.h"
#include "guest/net/net.h"

namespace shoal::guest::net {
namespace {

constexpr std::uint64_t drain_limit_ns = nanoseconds_per_second;
constexpr std::uint64_t lease_limit_ns = 10 * nanoseconds_per_second;
constexpr std::size_t host_name_bytes = 64;

constinit const CommandLine* settings = nullptr;
constinit std::optional<VirtioMmioPlace> device_place{};
constinit Network* network = nullptr;
constinit ip6_addr_t ip6_gateway{};  // the unspecified address: none
constinit std::array<char, host_name_bytes> host_name{"shoal"};

ip4_addr_t lwip_address(const Ipv4Bytes& bytes) {
    ip4_addr_t address;
    std::memcpy(&address.addr, bytes.data(), bytes.size());
    return address;
}

void warn(std::string_view what) {
    Message text;
    text << "shoal: " << what << "\n";
    print_message(text.view());
}

void set_host_name(std::string_view name) {
    if (!name.empty() && name.size() < host_name.size()) {
        host_name = {};
        std::copy(name.begin(), name.end(), host_name.begin());
    }
}

bool parse_ip6(std::string_view word, const netif& interface, ip6_addr_t& address) {
    std::array<char, 64> text{};
    std::copy_n(word.begin(), std::min(word.size(), text.size() - 1), text.begin());
    if (ip6addr_aton(text.data(), &address) == 0) {
        return false;
    }
    ip6_addr_assign_zone(&address, IP6_UNICAST, &interface);
    return true;
}

// Statically, at once: no other machine is asked whether it has the address.
void add_ip6(netif& interface, const Ip6Word& word) {
    ip6_addr_t address;
    s8_t idx = -1;
    if (parse_ip6(word.address, interface, address)) {
        netif_add_ip6_address(&interface, &address, &idx);
    }
    if (idx < 0 || (!word.gateway.empty() && !parse_ip6(word.gateway, interface, ip6_gateway))) {
        warn("shoal.ip6= has no IPv6 address");
        return;
    }
    netif_ip6_addr_set_state(&interface, idx, IP6_ADDR_PREFERRED);
}

// What the last load of the microVM has said; it lives as long as `words`.
CommandLine loaded_command_line(std::vector<char>& words) {
    const std::span<const char> text = loaded_boot_args();
    words.assign(text.begin(), text.end());
    return parse_command_line(words);
}

// Whether somebody waits for bytes of ours.
bool has_unsent() {
    for (const tcp_pcb* connection = tcp_active_pcbs; connection != nullptr;
         connection = connection->next) {
        if (connection->unsent != nullptr || connection->unacked != nullptr) {
            return true;
        }
    }
    return false;
}

}  // namespace

void configure(const CommandLine& command_line, std::span<const VirtioMmioDevice> devices) {
    settings = &command_line;
    device_place = first_place(devices, abi::virtio::device_id::network);
}

Network& Network::instance() {
    if (network == nullptr) {
        network = new Network;
        add_event_source(*network);
        network->flush();
        network->wait_for_lease();
    }
    return *network;
}

Network::Network() {
    lwip_init();
    expect_icmp_errors();
    start_interface(*settings);
}

void Network::start_interface(const CommandLine& command_line) {
    if (!device_place) {
        return;
    }
    VirtioNet* device = VirtioNet::start(*device_place);
    if (device == nullptr) {
        warn("the network device cannot be used: it lacks a feature, or memory is gone");
        return;
    }
    if (const auto ip = parse_ip_word(command_line.ip)) {
        set_host_name(ip->hostname);
    }
    interface_ = new Interface{*device, host_name.data()};
    // The program's first socket may be a copy's, which has addresses of its own.
    std::vector<char> words;
    const CommandLine changes = loaded_command_line(words);
    CommandLine now = command_line;
    now.ip = changes.ip.empty() ? now.ip : changes.ip;
    now.ip6 = changes.ip6.empty() ? now.ip6 : changes.ip6;
    set_addresses(now);
    loads_ = load_count();
    arrivals_ = arrival_count();
    expect_loads();
}

void Network::set_addresses(const CommandLine& command_line) {
    netif& lwip = interface_->lwip();
    netif_set_default(&lwip);
    netif_create_ip6_linklocal_address(&lwip, 1);
    netif_set_ip6_autoconfig_enabled(&lwip, 1);
    const IpWord ip = parse_ip_word(command_line.ip).value_or(IpWord{});
    name_servers_ = command_line.ip.empty() ? name_servers_ : ip.dns;
    if (ip.source == Ipv4Source::fixed) {
        const ip4_addr_t address = lwip_address(ip.address);
        const ip4_addr_t netmask = lwip_address(ip.netmask);
        const ip4_addr_t gateway = lwip_address(ip.gateway);
        netif_set_addr(&lwip, &address, &netmask, &gateway);
    } else if (ip.source == Ipv4Source::dhcp) {
        dhcp_start(&lwip);
    }
    if (const auto ip6 = parse_ip6_word(command_line.ip6)) {
        add_ip6(lwip, *ip6);
    }
}

// A copy of the microVM that had these addresses, or the same one on another network.
void Network::renew() {
    if (interface_ == nullptr) {
        return;
    }
    interface_->renew();
    netif& lwip = interface_->lwip();
    std::vector<char> words;
    const CommandLine changes = loaded_command_line(words);
    if (netif_dhcp_data(&lwip) != nullptr) {
        if (changes.ip.empty()) {
            dhcp_network_changed(&lwip);  // asks whether the lease is still ours
        } else {
            dhcp_stop(&lwip);
        }
    }
    if (!changes.ip6.empty()) {
        for (s8_t idx = 1; idx < LWIP_IPV6_NUM_ADDRESSES; ++idx) {
            netif_ip6_addr_set_state(&lwip, idx, IP6_ADDR_INVALID);
        }
    }
    set_addresses(changes);
    announce_addresses(lwip);
}

// As Linux does before it starts the program. Without an answer the program runs all the same.
void Network::wait_for_lease() {
    if (interface_ == nullptr || netif_dhcp_data(&interface_->lwip()) == nullptr) {
        return;
    }
    const std::uint64_t end = monotonic_ns() + lease_limit_ns;
    for (take_events(); dhcp_supplied_address(&interface_->lwip()) == 0; take_events()) {
        if (monotonic_ns() >= end) {
            warn("no DHCP server has answered within 10 s");
            return;
        }
        wait_until(std::min(end, deadline_ns()));
    }
}

void Network::poll() {
    if (interface_ != nullptr && interface_->poll() == Interface::Traffic::some) {
        timers_.note_traffic();
    }
}

void Network::flush() {
    netif_poll_all();
    if (interface_ != nullptr) {
        interface_->flush();
    }
    // The program may compute for long before anybody looks at lwIP's clocks again.
    constexpr std::uint64_t soon_ns = nanoseconds_per_second;
    const std::uint64_t timer_ns = this_cpu().timer_ns;
    if (timer_ns == 0 || timer_ns > monotonic_ns() + soon_ns) {
        if (const std::uint64_t deadline = timers_.deadline_ns(); deadline != no_deadline) {
            set_timer(deadline);
        }
    }
}

// Everything that can lead to packets comes before the last look for packets. Peers that never stop
// sending do not keep the program from running: what is left is for the next turn.
void Network::take_events() {
    if (was_loaded()) {
        note_load();
    }
    if (loads_ != load_count()) {
        loads_ = load_count();
        arrivals_ = arrival_count();
        renew();
    } else if (arrivals_ != arrival_count()) {
        arrivals_ = arrival_count();
        if (interface_ != nullptr) {
            announce_addresses(interface_->lwip());
        }
    }
    timers_.run_due();
    poll();
    flush();
    has_more_ = interface_ != nullptr && !interface_->arm_interrupts();
}

std::uint64_t Network::deadline_ns() const {
    return has_more_ ? 0 : timers_.deadline_ns();
}

void drain() {
    if (network == nullptr) {
        return;
    }
    const std::uint64_t end = monotonic_ns() + drain_limit_ns;
    network->take_events();
    while (has_unsent() && monotonic_ns() < end) {
        wait_until(std::min(end, network->deadline_ns()));
        network->take_events();
    }
}

}  // namespace shoal::guest::net

const void* shoal_net_ip6_gateway() {
    using shoal::guest::net::ip6_gateway;
    return ip6_addr_isany_val(ip6_gateway) ? nullptr : &ip6_gateway;
}
