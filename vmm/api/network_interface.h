// /network-interfaces/{iface_id}
#pragma once

#include "vmm/api/action.h"
#include "vmm/api/rate_limiter.h"

namespace shoal::api {

template <>
struct TextForm<vmm::MacAddress> {
    static constexpr std::string_view refusal = "The provided MAC address is invalid.";
    [[nodiscard]] static std::optional<vmm::MacAddress> parse(std::string_view text) noexcept;
    [[nodiscard]] static std::string format(const vmm::MacAddress& address);
};

template <>
struct Description<vmm::NetworkInterfaceConfig> {
    using Body = vmm::NetworkInterfaceConfig;
    static constexpr std::string_view name = "NetworkInterface";
    static constexpr std::tuple fields{
        required("iface_id", &Body::iface_id),
        required("host_dev_name", &Body::host_dev_name),
        optional("guest_mac", &Body::guest_mac),
        optional("mtu", &Body::mtu, {68, 65535}),
        optional("rx_rate_limiter", &Body::rx_rate_limiter),
        optional("tx_rate_limiter", &Body::tx_rate_limiter),
    };
};

template <>
struct Description<vmm::NetworkInterfaceUpdate> {
    using Body = vmm::NetworkInterfaceUpdate;
    static constexpr std::string_view name = "PartialNetworkInterface";
    static constexpr std::tuple fields{
        required("iface_id", &Body::iface_id),
        optional("rx_rate_limiter", &Body::rx_rate_limiter),
        optional("tx_rate_limiter", &Body::tx_rate_limiter),
    };
};

[[nodiscard]] ParsedRequest parse_put_network_interface(const Call& call);
[[nodiscard]] ParsedRequest parse_patch_network_interface(const Call& call);

// Opens the TAP and adds the interface to the configuration, or replaces the one with the same
// id. Throws Fault.
void set_network_interface(Context& context, vmm::NetworkInterfaceConfig interface);

}  // namespace shoal::api
