// The table, and its dependencies.
#include "devices/virtio/net_features.h"

#include <array>

#include "devices/abi/virtio_net.h"

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
    {Tap::csum, feature::guest_csum, feature::csum},
    {Tap::tso4, feature::guest_tso4, feature::host_tso4},
    {Tap::tso6, feature::guest_tso6, feature::host_tso6},
    {Tap::ecn, feature::guest_ecn, feature::host_ecn},
    {Tap::ufo, feature::guest_ufo, feature::host_ufo},
    {Tap::uso4, feature::guest_uso4, feature::host_uso},
    {Tap::uso6, feature::guest_uso6, feature::host_uso},
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
    constexpr Tap::Offloads uso = Tap::uso4 | Tap::uso6;
    Tap::Offloads offloads = 0;
    for (const Row& row : table) {
        offloads |= (negotiated & row.guest) != 0 ? row.offload : 0;
    }
    if ((offloads & Tap::csum) == 0) {
        return 0;
    }
    if ((offloads & (Tap::tso4 | Tap::tso6)) == 0) {
        offloads &= ~Tap::ecn;
    }
    if ((offloads & uso) != uso) {
        offloads &= ~uso;  // the kernel takes both or neither
    }
    return offloads;
}

}  // namespace shoal::virtio
