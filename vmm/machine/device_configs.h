// Between what the API's users say and what the devices take and tell: pure data on both sides.
#pragma once

#include <cstdint>
#include <optional>

#include "devices/virtio/balloon.h"
#include "devices/virtio/block.h"
#include "devices/virtio/net.h"
#include "vmm/boot/command_line.h"
#include "vmm/machine/config.h"
#include "vmm/machine/microvm.h"

namespace shoal::vmm {

inline constexpr std::uint32_t balloon_pages_per_mib = 256;

// A drive over a file.
[[nodiscard]] virtio::BlockConfig block_config(const DriveConfig& config);
[[nodiscard]] virtio::NetConfig net_config(const NetworkInterfaceConfig& config);
// `amount_mib` is no more than guests can have memory: it becomes pages in 32 bits.
[[nodiscard]] virtio::BalloonConfig balloon_config(const BalloonConfig& config);
// The first drive, if it is a root device.
[[nodiscard]] std::optional<boot::RootDevice> root_device(const MicrovmConfig& config);
[[nodiscard]] BalloonStatistics statistics_of(const virtio::BalloonStatisticsReport& report);

}  // namespace shoal::vmm
