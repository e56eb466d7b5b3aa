// A virtio-mmio device's registers, and accesses as no driver would make them.
#pragma once

#include <cstdint>

#include "devices/abi/virtio_mmio.h"

namespace hostile {

using Register = shoal::abi::virtio::MmioRegister;
namespace status = shoal::abi::virtio::status;

template <typename T>
T load(std::uint64_t address) {
    return *reinterpret_cast<const volatile T*>(address);
}

template <typename T>
void store(std::uint64_t address, T value) {
    *reinterpret_cast<volatile T*>(address) = value;
}

class Registers {
public:
    explicit Registers(std::uint64_t start) : start_{start} {}

    [[nodiscard]] std::uint64_t start() const { return start_; }
    [[nodiscard]] std::uint32_t read(Register which) const {
        return load<std::uint32_t>(start_ + static_cast<std::uint64_t>(which));
    }
    // What the guest wrote to memory before is seen by the device when it sees this.
    void write(Register which, std::uint32_t value) const {
        asm volatile("" ::: "memory");
        store(start_ + static_cast<std::uint64_t>(which), value);
    }
    // Both halves.
    void write_address(Register low, std::uint64_t address) const {
        write(low, static_cast<std::uint32_t>(address));
        store(start_ + static_cast<std::uint64_t>(low) + 4,
              static_cast<std::uint32_t>(address >> 32));
    }
    template <typename T>
    [[nodiscard]] T read_config(std::uint64_t offset) const {
        return load<T>(start_ + static_cast<std::uint64_t>(Register::config) + offset);
    }
    template <typename T>
    void write_config(std::uint64_t offset, T value) const {
        store(start_ + static_cast<std::uint64_t>(Register::config) + offset, value);
    }

private:
    std::uint64_t start_;
};

}  // namespace hostile
