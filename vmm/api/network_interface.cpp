// Network interfaces: before the start their TAPs are opened, afterwards their limiters changed.
#include "vmm/api/network_interface.h"

#include <algorithm>
#include <cstdio>

namespace shoal::api {
namespace {

constexpr std::string_view prefix = "Network config error: ";

int hex_digit(char byte) {
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    const int lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

void check_ids(std::string_view in_path, const std::string& in_body) {
    if (in_path != in_body) {
        throw Fault{"The id from the path [" + std::string{in_path} +
                    "] does not match the id from the body [" + in_body + "]!"};
    }
}

void check_mac(const std::vector<vmm::NetworkInterfaceConfig>& interfaces,
               const vmm::NetworkInterfaceConfig& interface) {
    for (const auto& other : interfaces) {
        if (other.iface_id != interface.iface_id && other.guest_mac &&
            other.guest_mac == interface.guest_mac) {
            throw Fault{"The MAC address is already in use: " +
                        TextForm<vmm::MacAddress>::format(*interface.guest_mac)};
        }
    }
}

void update_network_interface(Context& context, const vmm::NetworkInterfaceUpdate& update) {
    auto& interfaces = context.config.network_interfaces;
    const auto interface =
        std::ranges::find(interfaces, update.iface_id, &vmm::NetworkInterfaceConfig::iface_id);
    if (interface == interfaces.end()) {
        throw Fault{"Device not found"};
    }
    context.microvm.update_network_interface(update);
    interface->rx_rate_limiter = merged(interface->rx_rate_limiter, update.rx_rate_limiter);
    interface->tx_rate_limiter = merged(interface->tx_rate_limiter, update.tx_rate_limiter);
}

}  // namespace

std::optional<vmm::MacAddress> TextForm<vmm::MacAddress>::parse(std::string_view text) noexcept {
    constexpr std::size_t text_size = 17;  // six times two digits, and a colon between
    if (text.size() != text_size) {
        return std::nullopt;
    }
    vmm::MacAddress address;
    for (std::size_t idx = 0; idx < address.size(); ++idx) {
        const int high = hex_digit(text[3 * idx]);
        const int low = hex_digit(text[3 * idx + 1]);
        if (high < 0 || low < 0 || (idx > 0 && text[3 * idx - 1] != ':')) {
            return std::nullopt;
        }
        address[idx] = static_cast<std::uint8_t>(high << 4 | low);
    }
    return address;
}

std::string TextForm<vmm::MacAddress>::format(const vmm::MacAddress& address) {
    std::array<char, 18> text;
    std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", address[0], address[1],
                  address[2], address[3], address[4], address[5]);
    return text.data();
}

void set_network_interface(Context& context, vmm::NetworkInterfaceConfig interface) {
    with_prefix(prefix, [&] {
        auto& interfaces = context.config.network_interfaces;
        check_mac(interfaces, interface);
        interface.rx_rate_limiter = effective(interface.rx_rate_limiter);
        interface.tx_rate_limiter = effective(interface.tx_rate_limiter);
        context.microvm.set_network_interface(interface);
        const auto same = std::ranges::find(interfaces, interface.iface_id,
                                            &vmm::NetworkInterfaceConfig::iface_id);
        if (same != interfaces.end()) {
            *same = std::move(interface);
        } else {
            interfaces.push_back(std::move(interface));
        }
    });
}

ParsedRequest parse_put_network_interface(const Call& call) {
    const std::string_view id = parse_id(call);
    const auto interface = parse_body<vmm::NetworkInterfaceConfig>(call);
    check_ids(id, interface.iface_id);
    return {[interface](Context& context) {
        if (context.microvm.state() != vmm::MicrovmState::not_started) {
            throw Fault{
                "PCI manager error: PCI is not enabled: hot-plugging a network interface "
                "is not supported yet."};
        }
        set_network_interface(context, interface);
        return no_content();
    }};
}

ParsedRequest parse_patch_network_interface(const Call& call) {
    const std::string_view id = parse_id(call);
    const auto update = parse_body<vmm::NetworkInterfaceUpdate>(call);
    check_ids(id, update.iface_id);
    return {[update](Context& context) {
        with_prefix(prefix, [&] { update_network_interface(context, update); });
        return no_content();
    }};
}

}  // namespace shoal::api
