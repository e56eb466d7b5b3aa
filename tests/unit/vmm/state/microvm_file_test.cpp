#include "vmm/state/microvm_file.h"

#include <doctest/doctest.h>

#include "tests/unit/vmm/state/sample_state.h"
#include "vmm/state/section.h"

namespace shoal::state {
namespace {

TEST_CASE("a state comes back as it was, to the last byte") {
    const auto file = encode(testing::sample_snapshot());
    const Snapshot snapshot = decode(file);
    CHECK(encode(snapshot) == file);
    CHECK(snapshot.id == testing::sample_snapshot().id);
    CHECK(snapshot.microvm.config.drives.at(0).rate_limiter ==
          testing::sample_config().drives.at(0).rate_limiter);
    const vmm::MachineState& machine = snapshot.microvm.machine;
    const vmm::MachineState wanted = testing::sample_snapshot().microvm.machine;
    CHECK(machine.transports == wanted.transports);
    CHECK(machine.serial == wanted.serial);
    CHECK(machine.i8042 == wanted.i8042);
    CHECK(machine.ioapic == wanted.ioapic);
    CHECK(machine.vcpus.at(1).registers.rax == 0x0123'4567'89AB'CDEF);
    CHECK(machine.vcpus.at(1).special_registers.interrupt_bitmap[3] == 5);
    CHECK(machine.vcpus.at(1).events.exception_payload == 4);
    CHECK(snapshot.microvm.balloon == testing::sample_snapshot().microvm.balloon);
    CHECK(snapshot.microvm.drives == testing::sample_snapshot().microvm.drives);
}

TEST_CASE("what rate limiters have left is in a state of its own, which old ones lack") {
    Snapshot snapshot = testing::sample_snapshot();
    CHECK_FALSE(decode(encode(snapshot)).microvm.budgets);
    snapshot.microvm.budgets = testing::sample_budgets();
    snapshot.microvm.machine.serial_budget = backend::TokenBucketState{7, 8, 9};
    const Snapshot again = decode(encode(snapshot));
    REQUIRE(again.microvm.budgets);
    CHECK(again.microvm.budgets->drives == snapshot.microvm.budgets->drives);
    CHECK(again.microvm.budgets->network_interfaces ==
          snapshot.microvm.budgets->network_interfaces);
    CHECK(again.microvm.budgets->entropy == snapshot.microvm.budgets->entropy);
    CHECK(again.microvm.machine.serial_budget == snapshot.microvm.machine.serial_budget);
}

TEST_CASE("every truncation of a state is refused") {
    const auto file = encode(testing::sample_snapshot());
    for (std::size_t size = 0; size < file.size(); ++size) {
        CAPTURE(size);
        CHECK_THROWS_AS(static_cast<void>(decode(std::span{file}.first(size))), StateError);
    }
}

TEST_CASE("every flipped bit of a state is refused") {
    auto file = encode(testing::sample_snapshot());
    for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
        const auto mask = static_cast<std::byte>(1U << bit % 8);
        file[bit / 8] ^= mask;
        bool is_refused = false;
        try {
            static_cast<void>(SectionReader{file});
        } catch (const StateError&) {
            is_refused = true;
        }
        file[bit / 8] ^= mask;
        CAPTURE(bit);
        REQUIRE(is_refused);
    }
}

TEST_CASE("a state that contradicts itself is refused") {
    Snapshot snapshot = testing::sample_snapshot();
    SUBCASE("vCPUs") {
        snapshot.microvm.machine.vcpus.pop_back();
    }
    SUBCASE("drives") {
        snapshot.microvm.drives.clear();
    }
    SUBCASE("a drive of another process") {
        snapshot.microvm.config.drives[0].socket = "s";
    }
    SUBCASE("two drives of one id") {
        snapshot.microvm.config.drives.push_back(snapshot.microvm.config.drives[0]);
        snapshot.microvm.drives.push_back(snapshot.microvm.drives[0]);
    }
    SUBCASE("no memory") {
        snapshot.microvm.config.machine.mem_size_mib = 0;
    }
    SUBCASE("memory that wraps") {
        snapshot.microvm.config.machine.mem_size_mib = 1ULL << 44;
    }
    SUBCASE("rate limiters") {
        snapshot.microvm.budgets = testing::sample_budgets();
        snapshot.microvm.budgets->drives.clear();
    }
    SUBCASE("vsock") {
        snapshot.microvm.vsock.reset();
    }
    CHECK_THROWS_AS(static_cast<void>(decode(encode(snapshot))), StateError);
}

TEST_CASE("unknown sections: an optional one is skipped, a required one refused by its name") {
    SectionWriter writer;
    writer.add({"known"}, std::uint32_t{7});
    writer.add({"extra"}, std::uint32_t{8}, Requirement::optional);
    SUBCASE("optional") {
        const auto file = writer.finish();
        SectionReader reader{file};
        CHECK(reader.take<std::uint32_t>({"known"}) == 7);
        CHECK_NOTHROW(reader.refuse_the_rest());
    }
    SUBCASE("required") {
        writer.add({"future"}, std::uint32_t{9});
        const auto file = writer.finish();
        SectionReader reader{file};
        CHECK(reader.take<std::uint32_t>({"known"}) == 7);
        CHECK_THROWS_WITH(reader.refuse_the_rest(),
                          "the state file has a section future that is unknown here and must not "
                          "be left out");
    }
    SUBCASE("missing") {
        const auto file = writer.finish();
        SectionReader reader{file};
        CHECK_THROWS_WITH(static_cast<void>(reader.take<std::uint32_t>({"other"})),
                          "the state file has no section other");
    }
    SUBCASE("longer than its fields") {
        const auto file = writer.finish();
        SectionReader reader{file};
        CHECK_THROWS_WITH(static_cast<void>(reader.take<std::uint16_t>({"known"})),
                          "the state's section known is longer than what it holds");
    }
    SUBCASE("twice") {
        writer.add({"known"}, std::uint32_t{7});
        CHECK_THROWS_WITH(static_cast<void>(SectionReader{writer.finish()}),
                          "the state file has the section known twice");
    }
}

TEST_CASE("a vector with more elements than bytes is refused before it takes memory") {
    SectionWriter writer;
    writer.add({"list"}, std::uint32_t{0xFFFF'FFFF});
    const auto file = writer.finish();
    SectionReader reader{file};
    CHECK_THROWS_WITH(static_cast<void>(reader.take<std::vector<std::uint64_t>>({"list"})),
                      "the state's section list ends too early");
}

}  // namespace
}  // namespace shoal::state
