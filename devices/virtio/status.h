// The legal steps of a virtio device's status (virtio 1.2, 2.1 and 3.1.1), as one table.
#pragma once

#include <cstdint>

#include "devices/abi/virtio_mmio.h"

namespace shoal::virtio {

// What the driver can reach by itself, and in this order. The values are the register's.
enum class Status : std::uint32_t {
    reset = 0,
    acknowledge = abi::virtio::status::acknowledge,
    driver = acknowledge | abi::virtio::status::driver,
    features_ok = driver | abi::virtio::status::features_ok,
    driver_ok = features_ok | abi::virtio::status::driver_ok,
};

struct StatusStep {
    Status from;
    Status to;
};

// Besides these, the driver may reset at any time, repeat the status, and add FAILED.
inline constexpr StatusStep status_steps[] = {
    {Status::reset, Status::acknowledge},
    {Status::acknowledge, Status::driver},
    {Status::driver, Status::features_ok},
    {Status::features_ok, Status::driver_ok},
};

constexpr bool may_follow(Status from, Status to) noexcept {
    if (to == Status::reset) {
        return true;
    }
    for (const StatusStep& step : status_steps) {
        if (step.from == from && step.to == to) {
            return true;
        }
    }
    return false;
}

static_assert(may_follow(Status::reset, Status::acknowledge));
static_assert(may_follow(Status::features_ok, Status::driver_ok));
static_assert(may_follow(Status::driver_ok, Status::reset));
static_assert(!may_follow(Status::reset, Status::driver));
static_assert(!may_follow(Status::driver, Status::driver_ok), "features come first");
static_assert(!may_follow(Status::driver_ok, Status::features_ok), "bits are never cleared");

}  // namespace shoal::virtio
