// BootTimer: the guest writes a byte to it when its first program is about to run (Firecracker).
//
// Only the first time counts: a guest that goes on writing, on any of its vCPUs, tells nothing new.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

#include "devices/abi/address_map.h"
#include "devices/machine/bus_device.h"

namespace shoal::legacy {

class BootTimer final : public machine::BusDevice {
public:
    // `booted` is called once, on a vCPU's thread.
    explicit BootTimer(std::function<void()> booted) : booted_{std::move(booted)} {}

    void read(std::uint64_t, std::span<std::byte> data) noexcept override {
        std::ranges::fill(data, std::byte{0});
    }
    void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
        if (offset == 0 && data[0] == std::byte{abi::boot_timer_magic} &&
            !has_booted_.test_and_set(std::memory_order_relaxed)) {
            booted_();
        }
    }

private:
    std::function<void()> booted_;
    std::atomic_flag has_booted_;
};

}  // namespace shoal::legacy
