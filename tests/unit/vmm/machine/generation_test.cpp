#include "vmm/machine/generation.h"

#include <doctest/doctest.h>

#include <stdexcept>

#include "devices/abi/generation.h"

namespace shoal::vmm {
namespace {

abi::GenerationHeader header_of(const machine::GuestMemory& memory) {
    return *memory.read<abi::GenerationHeader>(machine::Gpa{abi::generation_area});
}

std::string words_of(const machine::GuestMemory& memory) {
    const auto bytes =
        *memory.slice(machine::Gpa{abi::generation_words}, header_of(memory).words_bytes);
    // SAFETY: characters are bytes.
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string boot_args_of(const machine::GuestMemory& memory) {
    const auto head =
        *memory.read<abi::GenerationBootArgs>(machine::Gpa{abi::generation_boot_args});
    CHECK(head.magic == abi::generation_boot_args_magic);
    const auto bytes = *memory.slice(machine::Gpa{abi::generation_text}, head.text_bytes);
    // SAFETY: characters are bytes.
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST_CASE("a guest that starts has an id, a seed and no words") {
    const machine::GuestMemory memory{1 << 20};
    write_generation(memory);
    const auto header = header_of(memory);
    CHECK(header.magic == abi::generation_magic);
    CHECK(header.version == abi::generation_version);
    CHECK(header.words_bytes == 0);
    CHECK(header.id != decltype(header.id){});
    CHECK(header.seed != decltype(header.seed){});
}

TEST_CASE("each load gives another id and seed, and the words of this clone alone") {
    const machine::GuestMemory memory{1 << 20};
    write_generation(memory);
    const auto before = header_of(memory);
    renew_generation(memory, CloneWords{"7", {"one", "", "two words"}});
    const auto after = header_of(memory);
    CHECK(after.id != before.id);
    CHECK(after.seed != before.seed);
    CHECK(words_of(memory) == std::string{"7\0one\0\0two words\0", 17});
    SUBCASE("and none when it gets none") {
        renew_generation(memory, {});
        CHECK(header_of(memory).id != after.id);
        CHECK(words_of(memory).empty());
    }
}

TEST_CASE("a clone has the words of the command line that are its own, up to a limit") {
    const machine::GuestMemory memory{1 << 20};
    write_generation(memory);
    CHECK(boot_args_of(memory).empty());
    renew_generation(memory, CloneWords{"1", {}, "ip=10.0.0.9"});
    CHECK(boot_args_of(memory) == "ip=10.0.0.9");
    const std::string longest(abi::generation_boot_args_max_bytes, 'x');
    renew_generation(memory, CloneWords{"1", {}, longest});
    CHECK(boot_args_of(memory) == longest);
    CHECK_THROWS_WITH_AS(renew_generation(memory, CloneWords{"1", {}, longest + "x"}),
                         "the clone's boot_args have 2049 bytes; the most is 2048",
                         std::runtime_error);
    CHECK(boot_args_of(memory) == longest);
    renew_generation(memory, {});
    CHECK(boot_args_of(memory).empty());
}

TEST_CASE("an arrival is counted, and changes nothing else, until the next load") {
    const machine::GuestMemory memory{1 << 20};
    const auto arrivals = [&memory] {
        return memory.read<abi::GenerationBootArgs>(machine::Gpa{abi::generation_boot_args})
            ->arrivals;
    };
    SUBCASE("of a guest that has an area") {
        write_generation(memory);
        renew_generation(memory, CloneWords{"1", {}, "ip=10.0.0.9"});
        const auto before = header_of(memory);
        count_arrival(memory);
        count_arrival(memory);
        CHECK(arrivals() == 2);
        CHECK(header_of(memory).id == before.id);
        CHECK(boot_args_of(memory) == "ip=10.0.0.9");
        renew_generation(memory, {});
        CHECK(arrivals() == 0);
    }
    SUBCASE("but not of another") {
        count_arrival(memory);
        CHECK(arrivals() == 0);
    }
}

TEST_CASE("words that are too long, or have a NUL, are refused and change nothing") {
    const machine::GuestMemory memory{1 << 20};
    write_generation(memory);
    const auto before = header_of(memory);
    const std::string longest(abi::generation_words_max_bytes - 3, 'x');
    CHECK_THROWS_WITH_AS(renew_generation(memory, CloneWords{"1", {longest + "x"}}),
                         "the clone's words have 32769 bytes with their ends; the most is 32768",
                         std::runtime_error);
    CHECK_THROWS_WITH_AS(renew_generation(memory, CloneWords{std::string{"a\0b", 3}, {}}),
                         "a clone's words cannot have a NUL in them", std::runtime_error);
    CHECK(header_of(memory).id == before.id);
    renew_generation(memory, CloneWords{"1", {longest}});
    CHECK(words_of(memory).size() == abi::generation_words_max_bytes);
}

TEST_CASE("a guest without a generation area is left alone, and gets no words") {
    const machine::GuestMemory memory{1 << 20};
    const auto check_refusal = [&memory] {
        const auto before = header_of(memory);
        renew_generation(memory, {});
        CHECK_THROWS_AS(renew_generation(memory, CloneWords{"1", {}}), std::runtime_error);
        CHECK(header_of(memory).id == before.id);
    };
    check_refusal();
    SUBCASE("nor one whose area is of a later version") {
        write_generation(memory);
        auto header = header_of(memory);
        header.version = 2;
        REQUIRE(memory.write(machine::Gpa{abi::generation_area}, header));
        check_refusal();
    }
}

}  // namespace
}  // namespace shoal::vmm
