// The entropy device (virtio 1.2, 5.4) over virtio-mmio: asked once, at boot.
#pragma once

#include <cstddef>
#include <span>

#include "guest/drivers/virtio_mmio.h"

namespace shoal::guest {

// Fills `bytes`, at most entropy_bytes_max, and returns how many came; none when the device does
// not answer within 100 ms. Sets the device up, and leaves it reset.
inline constexpr std::size_t entropy_bytes_max = 1024;
[[nodiscard]] std::size_t read_entropy(const VirtioMmioPlace& place, std::span<std::byte> bytes);

}  // namespace shoal::guest
