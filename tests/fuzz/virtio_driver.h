// VirtioDriver: a malicious driver whose every step is the fuzzer's. It can also do things right
// (negotiate, set queues up, offer a chain), so that what lies behind that is reached.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "devices/abi/virtio_mmio.h"
#include "devices/abi/virtio_queue.h"
#include "devices/machine/guest_memory.h"
#include "devices/machine/irq_line.h"
#include "devices/virtio/mmio_transport.h"
#include "tests/fuzz/input.h"

namespace shoal::fuzz {

class NoIrq final : public machine::IrqLine {
public:
    void raise() noexcept override {}
};

class VirtioDriver {
public:
    static constexpr std::uint64_t memory_bytes = 2 << 20;
    static constexpr std::uint32_t ring_size = 8;

    VirtioDriver(virtio::Device& device, const machine::GuestMemory& memory)
        : device_{device}, memory_{memory}, transport_{device, memory, irq_} {
        clear();
    }

    [[nodiscard]] virtio::MmioTransport& transport() { return transport_; }

    // One step; the rest of the input is `other`'s when the step is not the driver's.
    template <typename Other>
    void step(Input& input, Other other) {
        const auto op = input.take<std::uint8_t>();
        switch (op & 7) {
            case 0:
                return write_register(input, 1U << (op >> 6));
            case 1:
                return read_register(input, 1U << (op >> 6));
            case 2:
                return poke(input);
            case 3:
                return offer(input);
            case 4:
                return (op & 8) != 0 ? stop_queue(input, op) : serve();
            case 5:
                return set_up(input);
            case 6:
                return write(Register::status, input.take<std::uint8_t>() & 0xCF);
            default:
                return other(input);
        }
    }
    void serve() {
        for (int turn = 0; turn < 8 && transport_.notify_event().drain(); ++turn) {
            transport_.process_queues();
        }
    }
    // As every driver begins, in memory of zeros.
    void reset() {
        write(Register::status, static_cast<std::uint32_t>(virtio::Status::reset));
        clear();
    }
    // As a good one does it: sets the queues up and offers a chain.
    void start() {
        constexpr std::uint8_t nothing = 0;
        Input zeros{&nothing, 0};
        set_up(zeros);
        offer(zeros);
        serve();
    }

private:
    using Register = abi::virtio::MmioRegister;

    // Rings lie here, 4 KiB each; buffers lie anywhere.
    static constexpr std::uint64_t window_bytes = 0x10000;
    static constexpr std::uint64_t ring_bytes = 0x1000;
    static constexpr std::uint64_t avail_offset = 0x400;
    static constexpr std::uint64_t used_offset = 0x800;

    void clear() {
        std::ranges::fill(memory_.slice(machine::Gpa{0}, window_bytes).value(), std::byte{0});
    }
    void write(Register which, std::uint32_t value) {
        transport_.write(static_cast<std::uint64_t>(which), std::as_bytes(std::span{&value, 1}));
    }
    void write_register(Input& input, std::size_t width) {
        const std::uint64_t offset = input.take<std::uint16_t>() % (0x200 - width + 1);
        const auto value = input.take<std::uint64_t>();
        transport_.write(offset, std::as_bytes(std::span{&value, 1}).first(width));
    }
    void read_register(Input& input, std::size_t width) {
        const std::uint64_t offset = input.take<std::uint16_t>() % (0x200 - width + 1);
        std::array<std::byte, 8> value{};
        transport_.read(offset, std::span{value}.first(width));
    }
    void poke(Input& input) {
        const machine::Gpa at{input.take<std::uint16_t>()};
        static_cast<void>(memory_.write_bytes(at, input.take_bytes(input.take<std::uint8_t>())));
    }
    // A descriptor of any content, made available in a valid way.
    void offer(Input& input) {
        const std::uint32_t queue = input.take<std::uint8_t>() % device_.queue_count();
        const std::uint16_t head = input.take<std::uint8_t>() % (ring_size + 1);
        abi::virtio::Descriptor descriptor{};
        descriptor.address = input.take<std::uint32_t>() % (memory_bytes + 0x1000);
        descriptor.size_bytes = input.take<std::uint16_t>();
        descriptor.flags = input.take<std::uint8_t>();
        descriptor.next = input.take<std::uint8_t>();
        const std::uint64_t ring = ring_bytes * queue;
        put(ring + sizeof descriptor * head, descriptor);
        const machine::Gpa idx_at{ring + avail_offset + abi::virtio::avail_idx_offset};
        const auto idx = memory_.read<std::uint16_t>(idx_at).value();
        put(ring + avail_offset + abi::virtio::avail_ring_offset + 2ULL * (idx % ring_size), head);
        put(idx_at.value(), static_cast<std::uint16_t>(idx + 1));
        write(Register::queue_notify, queue);
    }
    template <typename T>
    void put(std::uint64_t at, const T& value) {
        static_cast<void>(memory_.write(machine::Gpa{at}, value));
    }
    // One queue, by this register or that one; and perhaps from its beginning again.
    void stop_queue(Input& input, std::uint8_t op) {
        const std::uint32_t queue = input.take<std::uint8_t>() % device_.queue_count();
        write(Register::queue_select, queue);
        if ((op & 16) != 0) {
            write(Register::queue_ready, 0);
        } else {
            write(Register::queue_reset, 1);
        }
        if ((op & 32) != 0) {
            set_up_queue(queue);
        }
    }
    void set_up_queue(std::uint32_t queue) {
        const auto ring = static_cast<std::uint32_t>(ring_bytes * queue);
        write(Register::queue_select, queue);
        write(Register::queue_size, ring_size);
        write(Register::queue_descriptors_low, ring);
        write(Register::queue_driver_low, ring + avail_offset);
        write(Register::queue_device_low, ring + used_offset);
        write(Register::queue_ready, 1);
        put(ring + avail_offset + abi::virtio::avail_idx_offset, std::uint16_t{0});
    }
    void set_up(Input& input) {
        using virtio::Status;
        for (const Status status : {Status::reset, Status::acknowledge, Status::driver}) {
            write(Register::status, static_cast<std::uint32_t>(status));
        }
        const auto choice = input.take<std::uint8_t>();
        const std::uint64_t optional = device_.features() | abi::virtio::feature::event_idx |
                                       abi::virtio::feature::indirect_desc |
                                       abi::virtio::feature::ring_reset;
        const std::uint64_t declined = (choice & 1) != 0 ? input.take<std::uint64_t>() : 0;
        const std::uint64_t features = abi::virtio::feature::version_1 | (optional & ~declined);
        for (std::uint32_t half = 0; half < 2; ++half) {
            write(Register::driver_features_select, half);
            write(Register::driver_features, static_cast<std::uint32_t>(features >> 32 * half));
        }
        write(Register::status, static_cast<std::uint32_t>(Status::features_ok));
        for (std::uint32_t queue = 0; queue < device_.queue_count(); ++queue) {
            set_up_queue(queue);
        }
        write(Register::status, static_cast<std::uint32_t>(Status::driver_ok));
    }

    virtio::Device& device_;
    const machine::GuestMemory& memory_;
    NoIrq irq_;
    virtio::MmioTransport transport_;
};

}  // namespace shoal::fuzz
