// RegisterBatch: writes to a device's registers that reach it together, in order.
//
// Setting a device up takes dozens of writes. Shoal's devices take them all at once, by one exit.
// Others: where ring 0 is emulated each costs 50 us from ring 3 and 20 us in a batch of ten that
// the nub stores; a single one would take 90 us by the nub, whose call is some 30 instructions, and
// 3 to 50 us from ring 3 where KVM takes it (queue_notify).
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
    RegisterBatch(std::uint64_t registers, bool is_shoal)
        : registers_{registers}, is_shoal_{is_shoal} {
        batch_.count = 0;
    }
    RegisterBatch(const RegisterBatch&) = delete;
    RegisterBatch& operator=(const RegisterBatch&) = delete;
    ~RegisterBatch() { flush(); }

    void write(abi::virtio::MmioRegister which, std::uint32_t value) {
        if (batch_.count == batch_.writes.size()) {
            flush();
        }
        batch_.writes[batch_.count++] = {static_cast<std::uint32_t>(which), value};
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
        const std::size_t count = batch_.count;
        if (count == 0) {
            return;
        }
        const std::uint64_t unit = (reinterpret_cast<std::uint64_t>(&batch_) - NUB_BASE) /
                                   abi::virtio::mmio_writes_alignment;
        if (is_shoal_ && unit <= std::numeric_limits<std::uint32_t>::max()) {
            asm volatile("" : : "m"(batch_));  // all of it is in memory before the device looks
            *reinterpret_cast<volatile std::uint32_t*>(
                registers_ + static_cast<std::uint64_t>(abi::virtio::MmioRegister::shoal_writes)) =
                static_cast<std::uint32_t>(unit);
        } else {
            write_by_nub(count);
        }
        batch_.count = 0;
    }

private:
    void write_by_nub(std::size_t count) {
        // Beyond 32 bits it is none that the nub takes.
        constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
        std::array<NubWrite, decltype(batch_.writes){}.size()> writes;
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint64_t offset = registers_ + batch_.writes[i].offset - NUB_DEVICES;
            writes[i] = {static_cast<std::uint32_t>(std::min(offset, most)),
                         batch_.writes[i].value};
        }
        if (shoal_nub_call(NUB_WRITE_DEVICES, reinterpret_cast<std::uint64_t>(writes.data()),
                           count) != NUB_OK) {
            panic("the nub refuses a device register of", registers_);
        }
    }

    std::uint64_t registers_;
    bool is_shoal_;
    alignas(abi::virtio::mmio_writes_alignment) abi::virtio::MmioWrites batch_;
};

}  // namespace shoal::guest
