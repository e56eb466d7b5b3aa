// What microVMs use up of a host, and what is left of it.
#pragma once

#include <cstdint>

namespace shoal::model {

struct Resources {
    std::uint64_t memory_mib = 0;
    std::uint64_t vcpu_millis = 0;  // thousandths of a CPU
    std::uint64_t microvms = 0;     // how many, whatever their size: processes, descriptors, TAPs

    [[nodiscard]] bool fits(const Resources& room) const noexcept {
        return memory_mib <= room.memory_mib && vcpu_millis <= room.vcpu_millis &&
               microvms <= room.microvms;
    }
    Resources& operator+=(const Resources& other) noexcept {
        memory_mib += other.memory_mib;
        vcpu_millis += other.vcpu_millis;
        microvms += other.microvms;
        return *this;
    }
    // What was added before: never below 0.
    Resources& operator-=(const Resources& other) noexcept {
        memory_mib -= other.memory_mib;
        vcpu_millis -= other.vcpu_millis;
        microvms -= other.microvms;
        return *this;
    }
    bool operator==(const Resources&) const = default;
};

}  // namespace shoal::model
