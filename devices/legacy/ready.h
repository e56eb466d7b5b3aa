// Ready: the guest says that its program has prepared itself and waits to be copied.
//
// A write of any value, at any offset, is the message; it may come again. Reads give 0.
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <utility>

#include "devices/machine/bus_device.h"

namespace shoal::legacy {

class Ready final : public machine::BusDevice {
public:
    // `ready` is called on a vCPU's thread, must not block, and may be empty.
    explicit Ready(std::function<void()> ready) : ready_{std::move(ready)} {}

    void read(std::uint64_t, std::span<std::byte> data) noexcept override {
        std::ranges::fill(data, std::byte{0});
    }
    void write(std::uint64_t, std::span<const std::byte>) noexcept override {
        if (ready_) {
            ready_();
        }
    }

private:
    std::function<void()> ready_;
};

}  // namespace shoal::legacy
