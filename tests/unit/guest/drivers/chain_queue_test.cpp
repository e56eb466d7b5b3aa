// The driver's side of a virtqueue, with the test as its device.
#include "guest/drivers/chain_queue.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <vector>

namespace shoal::guest {
namespace {

using Direction = ChainQueue::Direction;
using Piece = ChainQueue::Piece;
constexpr std::uint16_t size = ChainQueue::size;

// The rings, and what a device does with them.
class Rings {
public:
    Rings() : memory_(ChainQueue::memory_bytes), queue{memory_.data(), 0} {}

    [[nodiscard]] abi::virtio::Descriptor descriptor(std::uint16_t idx) const {
        return read<abi::virtio::Descriptor>(queue.descriptors_address() +
                                             idx * sizeof(abi::virtio::Descriptor));
    }
    [[nodiscard]] std::uint16_t avail_idx() const {
        return read<std::uint16_t>(queue.avail_address() + abi::virtio::avail_idx_offset);
    }
    [[nodiscard]] std::uint16_t avail(std::uint16_t at) const {
        return read<std::uint16_t>(queue.avail_address() + abi::virtio::avail_ring_offset +
                                   std::uint64_t{2} * (at % size));
    }
    [[nodiscard]] std::uint16_t used_event() const {
        return read<std::uint16_t>(queue.avail_address() +
                                   abi::virtio::avail_used_event_offset(size));
    }
    void set_avail_event(std::uint16_t event) {
        write(queue.used_address() + abi::virtio::used_avail_event_offset(size), event);
    }
    void use(std::uint32_t id, std::uint32_t size_bytes) {
        write(queue.used_address() + abi::virtio::used_ring_offset +
                  std::uint64_t{8} * (used_idx_ % size),
              abi::virtio::UsedElement{id, size_bytes});
        write(queue.used_address() + abi::virtio::used_idx_offset, ++used_idx_);
    }

private:
    template <class T>
    [[nodiscard]] T read(std::uint64_t at) const {
        T value;
        std::memcpy(&value, memory_.data() + at, sizeof value);
        return value;
    }
    template <class T>
    void write(std::uint64_t at, const T& value) {
        std::memcpy(memory_.data() + at, &value, sizeof value);
    }

    std::vector<std::byte> memory_;
    std::uint16_t used_idx_ = 0;

public:
    ChainQueue queue;  // after its memory
};

constexpr std::array<Piece, 3> three{{{0x1000, 12}, {0x2000, 54}, {0x3000, 1460}}};

TEST_CASE("a chain lies in the descriptors in order, and is seen when it is published") {
    Rings rings;
    const std::uint16_t name = rings.queue.next_chain();
    CHECK(rings.queue.add(three, Direction::to_device) == name);
    CHECK(rings.avail_idx() == 0);
    CHECK(rings.queue.publish());
    CHECK(rings.avail_idx() == 1);
    CHECK(rings.avail(0) == name);
    auto descriptor = rings.descriptor(name);
    for (std::size_t i = 0; i < three.size(); ++i) {
        CHECK(descriptor.address == three[i].physical);
        CHECK(descriptor.size_bytes == three[i].size_bytes);
        const bool is_last = i + 1 == three.size();
        CHECK(descriptor.flags == (is_last ? 0 : abi::virtio::descriptor_flag::next));
        descriptor = rings.descriptor(descriptor.next);
    }
}

TEST_CASE("the device is rung for only if it asked") {
    Rings rings;
    CHECK_FALSE(rings.queue.publish());  // nothing is new
    rings.set_avail_event(1);
    rings.queue.add(three, Direction::to_device);
    CHECK_FALSE(rings.queue.publish());
    rings.queue.add(three, Direction::to_device);
    CHECK(rings.queue.publish());
    rings.queue.add(three, Direction::to_device);
    CHECK_FALSE(rings.queue.publish());
}

TEST_CASE("descriptors are free again once their chain was used, however often") {
    Rings rings;
    for (unsigned turn = 0; turn < 70'000; ++turn) {
        const std::uint16_t first = rings.queue.add(three, Direction::to_device);
        const std::uint16_t second =
            rings.queue.add(std::span{three}.first(1), Direction::from_device);
        CHECK(rings.queue.free_descriptors() == size - 4);
        rings.use(second, 7);
        rings.use(first, 0);
        const auto used = rings.queue.take_used();
        REQUIRE(used);
        CHECK(used->chain == second);
        CHECK(used->size_bytes == 7);
        REQUIRE(rings.queue.take_used());
        CHECK_FALSE(rings.queue.take_used());
        CHECK(rings.queue.free_descriptors() == size);
    }
}

TEST_CASE("a full queue is used whole") {
    Rings rings;
    for (std::uint16_t i = 0; i < size; ++i) {
        rings.queue.add(std::span{three}.first(1), Direction::from_device);
    }
    CHECK(rings.queue.free_descriptors() == 0);
    for (std::uint16_t i = 0; i < size; ++i) {
        rings.use(i, 1);
        CHECK(rings.queue.take_used()->chain == i);
    }
    CHECK(rings.queue.free_descriptors() == size);
}

TEST_CASE("an interrupt is asked for once, and known to have come") {
    Rings rings;
    for (int i = 0; i < 3; ++i) {
        rings.queue.add(std::span{three}.first(1), Direction::from_device);
    }
    CHECK_FALSE(rings.queue.arm_interrupt());
    CHECK(rings.used_event() == 0);
    rings.use(0, 1);
    rings.use(1, 1);
    CHECK(rings.queue.take_used()->interrupts == ChainQueue::Interrupts::one);
    CHECK(rings.queue.take_used()->interrupts == ChainQueue::Interrupts::none);
    rings.use(2, 1);
    CHECK(rings.queue.arm_interrupt());  // there is something already
    CHECK(rings.used_event() == 2);
}

TEST_CASE("what a broken device says of chains that there are not is dropped") {
    Rings rings;
    const std::uint16_t name = rings.queue.add(three, Direction::to_device);
    for (const std::uint32_t id : {std::uint32_t{size}, 0xFFFF'FFFFU, 5U, name + 1U}) {
        rings.use(id, 1);
    }
    CHECK_FALSE(rings.queue.take_used());
    rings.use(name, 0);
    rings.use(name, 0);
    CHECK(rings.queue.take_used());
    CHECK_FALSE(rings.queue.take_used());
    CHECK(rings.queue.free_descriptors() == size);
}

}  // namespace
}  // namespace shoal::guest
