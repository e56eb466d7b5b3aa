// Power: the sleep registers of hardware-reduced ACPI (ACPI 6.4, 4.8.3.7), as far as a guest uses
// them to switch the machine off.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

#include "devices/abi/address_map.h"
#include "devices/machine/bus_device.h"

namespace shoal::legacy {

// At two ports: sleep control, sleep status. No state: any thread. Both read as 0: the machine
// never slept.
class Power final : public machine::BusDevice {
public:
    static constexpr std::uint64_t port_count = 2;

    // `off` is called on the vCPU's thread.
    explicit Power(std::function<void()> off) : off_{std::move(off)} {}

    void read(std::uint64_t, std::span<std::byte> data) noexcept override {
        std::ranges::fill(data, std::byte{0});
    }
    void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
        const auto value = std::to_integer<unsigned>(data[0]);
        if (offset == control_offset && (value & sleep_enable) != 0 &&
            (value >> sleep_type_shift & sleep_type_mask) == abi::sleep_type_off) {
            off_();
        }
    }

private:
    static constexpr std::uint64_t control_offset = 0;
    static constexpr unsigned sleep_enable = 0x20;
    static constexpr unsigned sleep_type_shift = 2;
    static constexpr unsigned sleep_type_mask = 7;

    std::function<void()> off_;
};

}  // namespace shoal::legacy
