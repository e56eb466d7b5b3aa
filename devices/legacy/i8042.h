// I8042: the keyboard controller, as far as a guest uses it to reset the machine.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

#include "devices/machine/bus_device.h"

namespace shoal::legacy {

// At ports 0x60 to 0x64. No state: any thread. Reads say that nothing is there to be read and that
// commands are accepted, so that a driver's probe ends quickly.
class I8042 final : public machine::BusDevice {
public:
    static constexpr std::uint64_t port_count = 5;

    // `reset` is called on the vCPU's thread.
    explicit I8042(std::function<void()> reset) : reset_{std::move(reset)} {}

    void read(std::uint64_t, std::span<std::byte> data) noexcept override {
        std::ranges::fill(data, std::byte{0});
    }
    void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
        if (offset == command_offset && data[0] == pulse_reset_line) {
            reset_();
        }
    }

private:
    static constexpr std::uint64_t command_offset = 4;
    static constexpr std::byte pulse_reset_line{0xFE};

    std::function<void()> reset_;
};

}  // namespace shoal::legacy
