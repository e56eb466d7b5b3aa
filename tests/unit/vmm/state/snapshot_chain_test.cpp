#include "vmm/state/snapshot_chain.h"

#include <doctest/doctest.h>

namespace shoal::state {
namespace {

constexpr std::uint64_t memory_bytes = 1 << 20;
using machine::Gpa;

struct WriteLogOnly final : vmm::PageLog {
    explicit WriteLogOnly(const machine::GuestMemory& of) : memory{of} { of.write_log().start(); }
    void take(std::span<std::uint64_t> bitmap) override { memory.write_log().take(bitmap); }
    const machine::GuestMemory& memory;
};

void write(const machine::GuestMemory& memory, std::uint64_t page) {
    REQUIRE(memory.write(Gpa{page * 4096}, std::uint64_t{1}));
}

// Of the first 64 pages.
std::uint64_t next(SnapshotChain& chain, const machine::GuestMemory& memory,
                   const SnapshotId& base) {
    chain.begin(memory);
    const auto difference = chain.difference(memory);
    REQUIRE(difference);
    CHECK(difference->base == base);
    return difference->pages[0];
}

TEST_CASE("the first snapshot differs from nothing, the next from it") {
    const machine::GuestMemory memory{memory_bytes};
    const SnapshotId first{std::byte{1}};
    const SnapshotId second{std::byte{2}};
    SnapshotChain chain;
    write(memory, 0);
    CHECK_FALSE(chain.has_log());
    chain.keep(std::make_unique<WriteLogOnly>(memory));
    chain.begin(memory);
    CHECK_FALSE(chain.difference(memory));
    write(memory, 1);  // behind it
    chain.made(first);
    write(memory, 2);
    CHECK(next(chain, memory, first) == 0b110);
    write(memory, 3);
    SUBCASE("one that failed is as if it had not been begun") {
        chain.failed();
        CHECK(next(chain, memory, first) == 0b1110);
    }
    SUBCASE("one that was made counts") {
        chain.made(second);
        CHECK(next(chain, memory, second) == 0b1000);
        chain.made(first);
        CHECK(next(chain, memory, first) == 0);
    }
}

TEST_CASE(
    "a loaded microVM differs from what it was loaded from; without a log in all it touched") {
    const machine::GuestMemory memory{memory_bytes};
    const SnapshotId loaded{std::byte{1}};
    write(memory, 0);
    SnapshotChain chain;
    SUBCASE("with a log") {
        chain.loaded(loaded, std::make_unique<WriteLogOnly>(memory));
        write(memory, 1);
        CHECK(next(chain, memory, loaded) == 0b10);
    }
    SUBCASE("without") {
        chain.loaded(loaded, nullptr);
        write(memory, 1);
        CHECK(next(chain, memory, loaded) == 0b11);
        chain.made(loaded);
        CHECK(next(chain, memory, loaded) == 0b11);
    }
}

}  // namespace
}  // namespace shoal::state
