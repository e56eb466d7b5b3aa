// Split virtqueues: what a driver may do works, and whatever else it does is refused.
#include "devices/virtio/queue.h"

#include <doctest/doctest.h>

#include <array>

#include "devices/abi/address_map.h"
#include "devices/abi/virtio_mmio.h"
#include "tests/unit/devices/virtio/test_ring.h"

namespace shoal::virtio {
namespace {

using abi::virtio::Descriptor;
using machine::Gpa;
namespace flag = abi::virtio::descriptor_flag;

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t table_at = 0x20000;  // an indirect table
constexpr std::uint64_t data_at = 0x40000;
constexpr std::uint16_t size = 8;

struct Fixture {
    explicit Fixture(std::uint64_t features = 0) {
        queue.set_features(features);
        REQUIRE(queue.configure(ring.layout(), size));
    }
    // pop() that must fail.
    QueueError popped_error() {
        const auto chain = queue.pop();
        REQUIRE_FALSE(chain);
        return chain.error();
    }
    Chain popped() {
        const auto chain = queue.pop();
        REQUIRE(chain);
        REQUIRE(*chain);
        return **chain;
    }

    machine::GuestMemory memory{mib};
    TestRing ring{memory, 0x10000, size};
    Queue queue{memory};
};

struct IndirectFixture : Fixture {
    IndirectFixture() : Fixture{abi::virtio::feature::indirect_desc} {}
    void entry(std::uint64_t idx, const Descriptor& descriptor) {
        ring.put(table_at + 16 * idx, descriptor);
    }
    void offer_table(std::uint32_t size_bytes, std::uint16_t flags = flag::indirect) {
        ring.offer_buffer(0, table_at, size_bytes, flags);
    }
};

TEST_CASE("a queue that is not set up has nothing and says nothing") {
    const machine::GuestMemory memory{mib};
    Queue queue{memory};
    CHECK_FALSE(queue.is_ready());
    CHECK_FALSE(queue.pop().value());
    CHECK(queue.size() == 0);
    queue.undo_pops(1);
    queue.push_used(0, 0);
    queue.suppress_notifications();
    CHECK_FALSE(queue.should_interrupt());
    CHECK_FALSE(queue.enable_notifications());
}

TEST_CASE("a pop that is undone comes again, with what the driver wrote meanwhile") {
    Fixture f;
    f.ring.offer_buffer(3, data_at, 16, 0);
    CHECK(f.popped().head == 3);
    f.queue.undo_pops(1);
    CHECK(f.queue.enable_notifications());
    f.ring.describe(3, {data_at, 32, 0, 0});
    const Chain chain = f.popped();
    CHECK(chain.head == 3);
    CHECK(chain.readable.front().size() == 32);
    CHECK_FALSE(f.queue.pop().value());
}

TEST_CASE("set-up checks size, alignment and place") {
    const machine::GuestMemory memory{mib};
    const QueueLayout good = TestRing{memory, 0x10000, size}.layout();
    Queue queue{memory};
    QueueLayout bad = good;
    QueueError expected = QueueError::bad_size;
    SUBCASE("size 0") {
        bad.size = 0;
    }
    SUBCASE("a size that is no power of two") {
        bad.size = 6;
    }
    SUBCASE("more than the device can") {
        bad.size = 16;
    }
    SUBCASE("the largest number") {
        bad.size = 0x8000'0000;
    }
    SUBCASE("a misaligned table") {
        bad.descriptors = Gpa{0x10008};
        expected = QueueError::misaligned_ring;
    }
    SUBCASE("a misaligned avail ring") {
        bad.avail = Gpa{0x11001};
        expected = QueueError::misaligned_ring;
    }
    SUBCASE("a misaligned used ring") {
        bad.used = Gpa{0x11402};
        expected = QueueError::misaligned_ring;
    }
    SUBCASE("a table that reaches beyond memory by one entry") {
        bad.descriptors = Gpa{mib - 16 * (size - 1)};
        expected = QueueError::ring_outside_memory;
    }
    SUBCASE("an avail ring that wraps") {
        bad.avail = Gpa{~0ULL - 1};
        expected = QueueError::ring_outside_memory;
    }
    SUBCASE("a used ring in the hole") {
        bad.used = Gpa{abi::ram_hole_start};
        expected = QueueError::ring_outside_memory;
    }
    const auto configured = queue.configure(bad, size);
    REQUIRE_FALSE(configured);
    CHECK(configured.error() == expected);
    CHECK_FALSE(queue.is_ready());
    CHECK(queue.configure(good, size));
}

TEST_CASE("a chain comes with its readable and writable buffers, and goes back") {
    Fixture f;
    CHECK_FALSE(f.queue.pop().value());
    f.ring.describe(3, {data_at, 10, flag::next, 5});
    f.ring.describe(5, {data_at + 100, 20, flag::next | flag::write, 1});
    f.ring.describe(1, {data_at + 200, 30, flag::write, 0});
    f.ring.offer(3);
    const Chain chain = f.popped();
    CHECK(chain.head == 3);
    REQUIRE(chain.readable.size() == 1);
    CHECK(chain.readable[0].size() == 10);
    CHECK(chain.readable[0].data() == f.memory.slice(Gpa{data_at}, 1)->data());
    REQUIRE(chain.writable.size() == 2);
    CHECK(chain.writable[1].size() == 30);
    CHECK_FALSE(f.queue.pop().value());

    f.queue.push_used(chain.head, 50);
    CHECK(f.ring.used_idx() == 1);
    CHECK(f.ring.used(0).id == 3);
    CHECK(f.ring.used(0).size_bytes == 50);
}

TEST_CASE("indices wrap at 16 bits") {
    Fixture f;
    for (std::uint32_t i = 0; i < 0x1'0003; ++i) {
        f.ring.offer_buffer(static_cast<std::uint16_t>(i % size), data_at, 1, 0);
        f.queue.push_used(f.popped().head, i);
    }
    CHECK(f.ring.used_idx() == 3);
    CHECK(f.ring.used(2).size_bytes == 0x1'0002);
}

TEST_CASE("an avail index that jumps is refused") {
    Fixture f;
    f.ring.describe(0, {data_at, 1, 0, 0});
    SUBCASE("a full queue is not a jump") {
        f.ring.set_avail_idx(size);
        CHECK(f.queue.pop().value());
    }
    SUBCASE("by one more than the size") {
        f.ring.set_avail_idx(size + 1);
        CHECK(f.popped_error() == QueueError::avail_index_jumped);
        CHECK(f.popped_error() == QueueError::avail_index_jumped);
    }
    SUBCASE("backwards") {
        f.ring.set_avail_idx(0xFFFF);
        CHECK(f.popped_error() == QueueError::avail_index_jumped);
    }
}

TEST_CASE("descriptors outside the table are refused") {
    Fixture f;
    SUBCASE("the head, one past") {
        f.ring.offer(size);
    }
    SUBCASE("the head, the largest") {
        f.ring.offer(0xFFFF);
    }
    SUBCASE("the next one") {
        f.ring.describe(0, {data_at, 1, flag::next, size});
        f.ring.offer(0);
    }
    CHECK(f.popped_error() == QueueError::descriptor_outside_table);
}

TEST_CASE("chains end") {
    Fixture f;
    for (std::uint16_t i = 0; i < size; ++i) {
        f.ring.describe(i, {data_at, 1, flag::next, static_cast<std::uint16_t>((i + 1) % size)});
    }
    SUBCASE("one of the queue's size is taken") {
        f.ring.describe(size - 1, {data_at, 1, 0, 0});
        f.ring.offer(0);
        CHECK(f.popped().readable.size() == size);
    }
    SUBCASE("a descriptor that names itself") {
        f.ring.describe(2, {data_at, 1, flag::next, 2});
        f.ring.offer(2);
        CHECK(f.popped_error() == QueueError::chain_too_long);
    }
    SUBCASE("a cycle through all") {
        f.ring.offer(0);
        CHECK(f.popped_error() == QueueError::chain_too_long);
    }
}

TEST_CASE("buffers lie in memory and are not empty") {
    Fixture f;
    QueueError expected = QueueError::buffer_outside_memory;
    SUBCASE("past the end by one") {
        f.ring.offer_buffer(0, mib - 9, 10, 0);
    }
    SUBCASE("in the hole") {
        f.ring.offer_buffer(0, abi::ram_hole_start, 1, flag::write);
    }
    SUBCASE("wrapping") {
        f.ring.offer_buffer(0, ~0ULL, 2, flag::write);
    }
    SUBCASE("of the largest length") {
        f.ring.offer_buffer(0, 0, 0xFFFF'FFFF, 0);
    }
    SUBCASE("of length 0") {
        f.ring.offer_buffer(0, data_at, 0, 0);
        expected = QueueError::empty_buffer;
    }
    CHECK(f.popped_error() == expected);
}

TEST_CASE("a buffer does not reach over the hole, and a chain not over 4 GiB") {
    const machine::GuestMemory memory{abi::ram_hole_start + mib};
    TestRing ring{memory, 0x10000, size};
    Queue queue{memory};
    REQUIRE(queue.configure(ring.layout(), size));
    SUBCASE("into the hole") {
        ring.offer_buffer(0, abi::ram_hole_start - 1, 2, 0);
        CHECK(queue.pop().error() == QueueError::buffer_outside_memory);
    }
    SUBCASE("over it") {
        ring.offer_buffer(0, abi::ram_hole_start - 1, 0x4000'0002, 0);
        CHECK(queue.pop().error() == QueueError::buffer_outside_memory);
    }
    SUBCASE("from behind it") {
        ring.offer_buffer(0, abi::ram_hole_end - 1, 2, 0);
        CHECK(queue.pop().error() == QueueError::buffer_outside_memory);
    }
    SUBCASE("two buffers of 3 GiB") {
        ring.describe(0, {0, 0xC000'0000, flag::next, 1});
        ring.describe(1, {0, 0xC000'0000, 0, 0});
        ring.offer(0);
        CHECK(queue.pop().error() == QueueError::chain_too_long);
    }
}

TEST_CASE("readable buffers come before writable ones") {
    Fixture f;
    f.ring.describe(0, {data_at, 1, flag::next | flag::write, 1});
    f.ring.describe(1, {data_at, 1, 0, 0});
    f.ring.offer(0);
    CHECK(f.popped_error() == QueueError::readable_after_writable);
}

TEST_CASE("an indirect table holds a chain") {
    IndirectFixture f;
    f.entry(0, {data_at, 1, flag::next, 2});
    f.entry(2, {data_at, 2, flag::write, 0});
    SUBCASE("alone") {
        f.offer_table(3 * 16);
        CHECK(f.popped().readable.size() == 1);
    }
    SUBCASE("after ordinary descriptors, its own write flag ignored") {
        f.ring.describe(4, {data_at, 9, flag::next, 5});
        f.ring.describe(5, {table_at, 3 * 16, flag::indirect | flag::write, 0});
        f.ring.offer(4);
        const Chain chain = f.popped();
        CHECK(chain.readable.size() == 2);
        CHECK(chain.writable.size() == 1);
        CHECK(chain.head == 4);
    }
    SUBCASE("at an odd address") {
        f.ring.put(table_at + 0x101, Descriptor{data_at, 7, 0, 0});
        f.ring.offer_buffer(0, table_at + 0x101, 16, flag::indirect);
        CHECK(f.popped().readable[0].size() == 7);
    }
    SUBCASE("as long as the limit") {
        for (std::uint16_t i = 0; i < Queue::max_segments; ++i) {
            f.entry(i, {data_at, 1, flag::next, static_cast<std::uint16_t>(i + 1)});
        }
        f.entry(Queue::max_segments - 1, {data_at, 1, 0, 0});
        f.offer_table(16 * Queue::max_segments);
        CHECK(f.popped().readable.size() == Queue::max_segments);
    }
}

TEST_CASE("bad indirect tables are refused") {
    IndirectFixture f;
    f.entry(0, {data_at, 1, 0, 0});
    QueueError expected = QueueError::bad_indirect_table;
    SUBCASE("empty") {
        f.offer_table(0);
    }
    SUBCASE("not whole entries") {
        f.offer_table(17);
    }
    SUBCASE("less than an entry") {
        f.offer_table(15);
    }
    SUBCASE("one entry more than the limit") {
        f.offer_table(16 * (Queue::max_segments + 1));
    }
    SUBCASE("the largest length") {
        f.offer_table(0xFFFF'FFF0);
    }
    SUBCASE("not the end of the chain") {
        f.offer_table(16, flag::indirect | flag::next);
    }
    SUBCASE("nested") {
        f.entry(0, {table_at, 16, flag::indirect, 0});
        f.offer_table(16);
    }
    SUBCASE("not negotiated") {
        f.queue.set_features(0);
        f.offer_table(16);
    }
    SUBCASE("outside memory") {
        f.ring.offer_buffer(0, mib - 8, 16, flag::indirect);
        expected = QueueError::buffer_outside_memory;
    }
    SUBCASE("next outside the table") {
        f.entry(0, {data_at, 1, flag::next, 1});
        f.offer_table(16);
        expected = QueueError::chain_too_long;
    }
    SUBCASE("next far outside the table") {
        f.entry(0, {data_at, 1, flag::next, 0xFFFF});
        f.offer_table(32);
        expected = QueueError::descriptor_outside_table;
    }
    SUBCASE("a cycle") {
        f.entry(0, {data_at, 1, flag::next, 1});
        f.entry(1, {data_at, 1, flag::next, 0});
        f.offer_table(32);
        expected = QueueError::chain_too_long;
    }
    SUBCASE("an empty buffer inside") {
        f.entry(0, {data_at, 0, 0, 0});
        f.offer_table(16);
        expected = QueueError::empty_buffer;
    }
    SUBCASE("too many segments with the descriptors before it") {
        for (std::uint16_t i = 0; i < Queue::max_segments; ++i) {
            f.entry(i, {data_at, 1, flag::next, static_cast<std::uint16_t>(i + 1)});
        }
        f.entry(Queue::max_segments - 1, {data_at, 1, 0, 0});
        f.ring.describe(0, {data_at, 1, flag::next, 1});
        f.ring.describe(1, {table_at, 16 * Queue::max_segments, flag::indirect, 0});
        f.ring.offer(0);
        expected = QueueError::chain_too_long;
    }
    CHECK(f.popped_error() == expected);
}

TEST_CASE("a pop can be undone, and the chains come again in their order") {
    Fixture f;
    for (std::uint16_t turn = 0; turn < 3; ++turn) {  // also where the ring wraps
        for (std::uint16_t idx = 0; idx < 6; ++idx) {
            f.ring.offer_buffer(idx, data_at, 16, 0);
        }
        for (const int head : {0, 1, 2}) {
            CHECK(f.popped().head == head);
        }
        f.queue.undo_pops(2);
        for (const int head : {1, 2, 3, 4, 5}) {
            CHECK(f.popped().head == head);
        }
        CHECK_FALSE(f.queue.pop().value());
        f.queue.undo_pops(0);
        CHECK_FALSE(f.queue.pop().value());
    }
}

TEST_CASE("several chains are shown to the driver at once") {
    Fixture f;
    std::array<abi::virtio::UsedElement, 5> elements{{{5, 50}, {4, 40}, {3, 30}, {2, 20}, {1, 10}}};
    f.queue.push_used({});
    CHECK(f.ring.used_idx() == 0);
    f.queue.push_used(elements);
    f.queue.push_used(elements);  // wraps
    CHECK(f.ring.used_idx() == 10);
    for (std::uint16_t position = 2; position < 10; ++position) {
        CHECK(f.ring.used(position).id == 5U - position % 5);
        CHECK(f.ring.used(position).size_bytes == 50U - 10U * (position % 5));
    }
}

TEST_CASE("interrupts follow the avail ring's flag") {
    Fixture f;
    CHECK_FALSE(f.queue.should_interrupt());
    f.queue.push_used(0, 0);
    CHECK(f.queue.should_interrupt());
    CHECK_FALSE(f.queue.should_interrupt());
    f.ring.set_avail_flags(abi::virtio::avail_no_interrupt);
    f.queue.push_used(0, 0);
    CHECK_FALSE(f.queue.should_interrupt());
}

TEST_CASE("with event_idx an interrupt comes when the index passes used_event") {
    Fixture f{abi::virtio::feature::event_idx};
    f.ring.set_avail_flags(abi::virtio::avail_no_interrupt);  // means nothing now
    f.ring.set_used_event(1);
    f.queue.push_used(0, 0);
    CHECK_FALSE(f.queue.should_interrupt());
    f.queue.push_used(0, 0);
    CHECK(f.queue.should_interrupt());
    f.queue.push_used(0, 0);
    CHECK_FALSE(f.queue.should_interrupt());
    f.ring.set_used_event(4);
    f.queue.push_used(0, 0);
    f.queue.push_used(0, 0);
    f.queue.push_used(0, 0);
    CHECK(f.queue.should_interrupt());
}

TEST_CASE("notifications are suppressed and asked for again without a gap") {
    SUBCASE("by the flag") {
        Fixture f;
        f.queue.suppress_notifications();
        CHECK(f.ring.used_flags() == abi::virtio::used_no_notify);
        CHECK_FALSE(f.queue.enable_notifications());
        CHECK(f.ring.used_flags() == 0);
        f.ring.offer_buffer(0, data_at, 1, 0);
        CHECK(f.queue.enable_notifications());
    }
    SUBCASE("by the event index") {
        Fixture f{abi::virtio::feature::event_idx};
        f.queue.suppress_notifications();
        CHECK(f.ring.used_flags() == 0);
        f.ring.offer_buffer(0, data_at, 1, 0);
        f.ring.offer_buffer(1, data_at, 1, 0);
        static_cast<void>(f.popped());
        CHECK(f.queue.enable_notifications());
        CHECK(f.ring.avail_event() == 1);
        static_cast<void>(f.popped());
        CHECK_FALSE(f.queue.enable_notifications());
        CHECK(f.ring.avail_event() == 2);
    }
}

TEST_CASE("after a reset a queue begins from its beginning") {
    Fixture f;
    f.ring.offer_buffer(0, data_at, 1, 0);
    f.queue.push_used(f.popped().head, 0);
    f.queue.reset();
    CHECK_FALSE(f.queue.is_ready());
    CHECK_FALSE(f.queue.pop().value());
    REQUIRE(f.queue.configure(f.ring.layout(), size));
    CHECK(f.queue.pop().value());
}

TEST_CASE("a queue goes on where its saved state was") {
    Fixture f;
    for (std::uint16_t idx = 0; idx < 3; ++idx) {
        f.ring.offer_buffer(idx, data_at, 1, 0);
    }
    f.queue.push_used(f.popped().head, 0);
    CHECK(f.queue.should_interrupt());
    const std::uint16_t held = f.popped().head;
    f.queue.push_used(held, 0);
    const QueueState state = f.queue.save();
    CHECK(state == QueueState{2, 2, 1});

    Queue other{f.memory};
    REQUIRE(other.configure(f.ring.layout(), size));
    other.restore(state);
    CHECK(other.save() == state);
    CHECK(other.should_interrupt());
    const auto chain = other.pop().value();
    REQUIRE(chain);
    CHECK(chain->head == 2);
    other.push_used(chain->head, 5);
    CHECK(f.ring.used_idx() == 3);
    CHECK(f.ring.used(2).size_bytes == 5);
}

TEST_CASE("a popped chain can be collected again, and is checked again") {
    Fixture f;
    f.ring.describe(3, {data_at, 7, 0, 0});
    const auto chain = f.queue.collect_again(3);
    REQUIRE(chain);
    CHECK(chain->head == 3);
    CHECK(chain->readable.front().size() == 7);
    CHECK(f.queue.save() == QueueState{});
    CHECK(f.queue.collect_again(size).error() == QueueError::descriptor_outside_table);
    f.ring.describe(3, {data_at, 0, 0, 0});
    CHECK(f.queue.collect_again(3).error() == QueueError::empty_buffer);
    f.queue.reset();
    CHECK_FALSE(f.queue.collect_again(0));
}

// The pages that the memory's write log has, as bits of pages 0 to 255.
bool is_logged(const std::array<std::uint64_t, 4>& bitmap, std::uint64_t address) {
    const std::uint64_t page = address / abi::page_size;
    return (bitmap[page / 64] >> page % 64 & 1) != 0;
}

TEST_CASE("the write log has a chain's writable buffers and the used ring once it is given back") {
    constexpr std::uint64_t far = data_at + 7 * abi::page_size;
    constexpr std::uint64_t used_ring = 0x11400;
    IndirectFixture f;
    std::array<std::uint64_t, 4> bitmap{};
    SUBCASE("direct") {
        f.ring.describe(0, {table_at, 16, flag::next, 1});
        f.ring.describe(1, {data_at, 16, flag::write | flag::next, 2});
        f.ring.describe(2, {far, 2 * abi::page_size, flag::write, 0});
        f.ring.offer(0);
    }
    SUBCASE("indirect") {
        f.entry(0, {data_at, 16, flag::write | flag::next, 1});
        f.entry(1, {far, 2 * abi::page_size, flag::write, 0});
        f.offer_table(32);
    }
    f.memory.write_log().start();
    const Chain chain = f.popped();  // taken before, or long before, it is given back
    f.memory.write_log().take(bitmap);
    CHECK_FALSE(is_logged(bitmap, far));
    f.queue.push_used(chain.head, 1);
    CHECK(chain.writable.size() == 2);
    f.memory.write_log().take(bitmap);
    CHECK(is_logged(bitmap, used_ring));
    CHECK(is_logged(bitmap, data_at));
    CHECK(is_logged(bitmap, far));
    CHECK(is_logged(bitmap, far + 2 * abi::page_size - 1));
    CHECK_FALSE(is_logged(bitmap, table_at));
    CHECK_FALSE(is_logged(bitmap, far + 2 * abi::page_size));
}

// The used index lies where descriptor 0 names its next one: the store of the index is at once what
// a driver on another CPU does that sees it and uses the descriptors again.
TEST_CASE(
    "the write log has a chain whose descriptors are used again as soon as it is given back") {
    Fixture f;
    constexpr std::uint64_t far = 0x60000;
    QueueLayout layout = f.ring.layout();
    layout.used = Gpa{layout.descriptors.value() + 12};
    REQUIRE(f.queue.configure(layout, size));
    f.memory.write_log().start();
    f.ring.describe(0, {data_at, 8, flag::next | flag::write, 5});
    f.ring.describe(5, {far, 8, flag::write, 0});
    f.ring.offer(0);
    REQUIRE(f.popped().writable.size() == 2);
    f.queue.push_used(0, 16);
    REQUIRE(f.ring.get<std::uint16_t>(layout.descriptors.value() + 14) == 1);
    std::array<std::uint64_t, 4> bitmap{};
    f.memory.write_log().take(bitmap);
    CHECK(is_logged(bitmap, data_at));
    CHECK(is_logged(bitmap, far));
    CHECK(is_logged(bitmap, layout.used.value()));
}

TEST_CASE("the write log has the used ring when the device changes what it wants to be told") {
    Fixture f;
    std::array<std::uint64_t, 4> bitmap{};
    f.memory.write_log().start();
    SUBCASE("no notifications") {
        f.queue.suppress_notifications();
    }
    SUBCASE("notifications") {
        static_cast<void>(f.queue.enable_notifications());
    }
    f.memory.write_log().take(bitmap);
    CHECK(is_logged(bitmap, 0x11400));
}

TEST_CASE("descriptors that the driver changed before its chain came back are left alone") {
    Fixture f;
    f.ring.offer_buffer(0, data_at, 16, flag::write);
    f.memory.write_log().start();
    const Chain chain = f.popped();
    f.ring.describe(0, {~0ULL, 16, flag::write | flag::next, 200});
    f.queue.push_used(chain.head, 16);
    CHECK(f.ring.used_idx() == 1);
}

}  // namespace
}  // namespace shoal::virtio
