// What a driver reads of a device's configuration structure, at any offset and width.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace shoal::virtio {

// `Config` has no padding. What lies outside of it reads as 0.
template <typename Config>
void copy_config(const Config& config, std::uint64_t offset, std::span<std::byte> data) noexcept {
    const auto bytes = std::as_bytes(std::span{&config, 1});
    std::ranges::fill(data, std::byte{0});
    if (offset < bytes.size()) {
        const auto rest = bytes.subspan(offset);
        std::ranges::copy(rest.first(std::min(rest.size(), data.size())), data.begin());
    }
}

}  // namespace shoal::virtio
