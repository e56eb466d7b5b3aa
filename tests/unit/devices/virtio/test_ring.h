// TestRing: a driver's side of a split virtqueue for tests; it can break every rule.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "devices/abi/virtio_queue.h"
#include "devices/machine/guest_memory.h"
#include "devices/virtio/queue.h"

namespace shoal::virtio {

class TestRing {
public:
    // Uses 8 KiB of guest memory at `base`.
    TestRing(const machine::GuestMemory& memory, std::uint64_t base, std::uint16_t size)
        : memory_{&memory},
          size_{size},
          descriptors_{base},
          avail_{base + 0x1000},
          used_{base + 0x1400} {}

    [[nodiscard]] QueueLayout layout() const {
        return {size_, machine::Gpa{descriptors_}, machine::Gpa{avail_}, machine::Gpa{used_}};
    }

    template <typename T>
    void put(std::uint64_t at, const T& value) const {
        REQUIRE(memory_->write(machine::Gpa{at}, value));
    }
    template <typename T>
    [[nodiscard]] T get(std::uint64_t at) const {
        return memory_->read<T>(machine::Gpa{at}).value();
    }

    void describe(std::uint16_t idx, const abi::virtio::Descriptor& descriptor) const {
        put(descriptors_ + 16ULL * idx, descriptor);
    }

    // Makes the chain that starts at `head` available.
    void offer(std::uint16_t head) {
        put(avail_ + 4 + 2ULL * (avail_idx_ % size_), head);
        set_avail_idx(static_cast<std::uint16_t>(avail_idx_ + 1));
    }
    // One buffer, in the descriptor of that number.
    void offer_buffer(std::uint16_t idx, std::uint64_t address, std::uint32_t size_bytes,
                      std::uint16_t flags) {
        describe(idx, {address, size_bytes, flags, 0});
        offer(idx);
    }
    // One readable buffer with this content.
    void offer_text(std::uint16_t idx, std::uint64_t address, std::string_view text) {
        REQUIRE(memory_->write_bytes(machine::Gpa{address}, std::as_bytes(std::span{text})));
        offer_buffer(idx, address, static_cast<std::uint32_t>(text.size()), 0);
    }
    void set_avail_idx(std::uint16_t idx) {
        avail_idx_ = idx;
        put(avail_ + 2, idx);
    }

    void set_avail_flags(std::uint16_t flags) const { put(avail_, flags); }
    void set_used_event(std::uint16_t event) const { put(avail_ + 4 + 2ULL * size_, event); }
    [[nodiscard]] std::uint16_t avail_idx() const { return avail_idx_; }
    [[nodiscard]] std::uint16_t avail_event() const {
        return get<std::uint16_t>(used_ + 4 + 8ULL * size_);
    }
    [[nodiscard]] std::uint16_t used_flags() const { return get<std::uint16_t>(used_); }
    [[nodiscard]] std::uint16_t used_idx() const { return get<std::uint16_t>(used_ + 2); }
    [[nodiscard]] abi::virtio::UsedElement used(std::uint16_t position) const {
        return get<abi::virtio::UsedElement>(used_ + 4 + 8ULL * (position % size_));
    }

private:
    const machine::GuestMemory* memory_;
    std::uint16_t size_;
    std::uint64_t descriptors_;
    std::uint64_t avail_;
    std::uint64_t used_;
    std::uint16_t avail_idx_ = 0;
};

}  // namespace shoal::virtio
