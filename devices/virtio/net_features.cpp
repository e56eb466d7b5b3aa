// The table, and its dependencies.
#include "devices/virtio/net_features.h"

#include <linux/if_tun.h>

#include <array>

#include "devices/abi/virtio_net.h"

// Newer than Debian 12's kernel headers.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

namespace shoal::virtio {
namespace {

namespace feature = abi::virtio::net::feature;
using backend::Tap;

struct Row {
    Tap::Offloads offload;
    std::uint64_t guest;  // the driver takes such packets
    std::uint64_t host;   // and the device does
};

constexpr std::array<Row, 7> table{{
    {TUN_F_CSUM, feature::guest_csum, feature::csum},
    {TUN_F_TSO4, feature::guest_tso4, feature::host_tso4},
    {TUN_F_TSO6, feature::guest_tso6, feature::host_tso6},
    {TUN_F_TSO_ECN, feature::guest_ecn, feature::host_ecn},
    {TUN_F_UFO, feature::guest_ufo, feature::host_ufo},
    {TUN_F_USO4, feature::guest_uso4, feature::host_uso},
    {TUN_F_USO6, feature::guest_uso6, feature::host_uso},
}};

}  // namespace

std::uint64_t net_features(Tap::Offloads supported) noexcept {
    std::uint64_t features = 0;
    for (const Row& row : table) {
        features |= (supported & row.offload) != 0 ? row.guest | row.host : 0;
    }
    return features;
}

Tap::Offloads net_offloads(std::uint64_t negotiated) noexcept {
    constexpr Tap::Offloads uso = TUN_F_USO4 | TUN_F_USO6;
    Tap::Offloads offloads = 0;
    for (const Row& row : table) {
        offloads |= (negotiated & row.guest) != 0 ? row.offload : 0;
    }
    if ((offloads & TUN_F_CSUM) == 0) {
        return 0;
    }
    if ((offloads & (TUN_F_TSO4 | TUN_F_TSO6)) == 0) {
        offloads &= ~static_cast<Tap::Offloads>(TUN_F_TSO_ECN);
    }
    if ((offloads & uso) != uso) {
        offloads &= ~uso;  // the kernel takes both or neither
    }
    return offloads;
}

}  // namespace shoal::virtio
