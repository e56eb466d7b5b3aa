// ExitDevice: ends the microVM with an exit code that the guest writes to a port.
//
// The place is that of QEMU's isa-debug-exit, so that one guest image ends under either; the code
// is taken as it is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <utility>

#include "devices/machine/bus_device.h"

namespace shoal::legacy {

class ExitDevice final : public machine::BusDevice {
public:
    static constexpr std::uint64_t port_count = 4;

    // `exit` is called on the vCPU's thread with the value written (1, 2 or 4 bytes).
    explicit ExitDevice(std::function<void(std::uint32_t)> exit) : exit_{std::move(exit)} {}

    void read(std::uint64_t, std::span<std::byte> data) noexcept override {
        std::ranges::fill(data, std::byte{0});
    }
    void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
        if (offset == 0) {
            std::uint32_t code = 0;
            std::memcpy(&code, data.data(), std::min(data.size(), sizeof code));
            exit_(code);
        }
    }

private:
    std::function<void(std::uint32_t)> exit_;
};

}  // namespace shoal::legacy
