// RegisterBatch: writes to a device's registers that reach it together, in order.
//
// Setting a device up takes dozens of writes. Where ring 0 is emulated each costs 50 us from ring 3
// and 20 us in a batch of ten that the nub stores; a single one would take 90 us by the nub, whose
// call is some 30 instructions, and 3 to 50 us from ring 3 where KVM takes it (queue_notify).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "devices/abi/virtio_mmio.h"
#include "guest/kernel/panic.h"
#include "guest/nub/nub.h"

namespace shoal::guest {

class RegisterBatch {
public:
    // `registers` is the kernel's address of a virtio-mmio device, in the GiB from NUB_DEVICES on.
    explicit RegisterBatch(std::uint64_t registers) : registers_{registers} {}
    RegisterBatch(const RegisterBatch&) = delete;
    RegisterBatch& operator=(const RegisterBatch&) = delete;
    ~RegisterBatch() { flush(); }

    void write(abi::virtio::MmioRegister which, std::uint32_t value) {
        if (count_ == writes_.size()) {
            flush();
        }
        // Beyond 32 bits it is none that the nub takes.
        constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
        const std::uint64_t offset = registers_ + static_cast<std::uint64_t>(which) - NUB_DEVICES;
        writes_[count_++] = {static_cast<std::uint32_t>(std::min(offset, most)), value};
    }

    // Two halves; the upper one is 0 after a reset and needs no write then.
    void write_address(abi::virtio::MmioRegister low, abi::virtio::MmioRegister high,
                       std::uint64_t address) {
        write(low, static_cast<std::uint32_t>(address));
        if (address >> 32 != 0) {
            write(high, static_cast<std::uint32_t>(address >> 32));
        }
    }

    // Returns when the device has them all.
    void flush() {
        const std::size_t count = count_;
        count_ = 0;
        if (count != 0 &&
            shoal_nub_call(NUB_WRITE_DEVICES, reinterpret_cast<std::uint64_t>(writes_.data()),
                           count) != NUB_OK) {
            panic("the nub refuses a device register of", registers_);
        }
    }

private:
    std::uint64_t registers_;
    std::array<NubWrite, 48> writes_;
    std::size_t count_ = 0;
};

}  // namespace shoal::guest
