// Files of every format version so far, which must load for ever (golden/).
//
// SHOAL_WRITE_GOLDEN=1 writes those that are not there: for a new version, make a folder and a test
// for it. A file that is there is never written again.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "tests/unit/vmm/state/folder.h"
#include "tests/unit/vmm/state/sample_state.h"
#include "vmm/migration/hello.h"
#include "vmm/state/snapshot_files.h"

namespace shoal::state {
namespace {

const std::filesystem::path golden = "tests/unit/vmm/state/golden";
constexpr std::uint64_t memory_bytes = 1 << 20;

using Bytes = std::vector<std::byte>;

Bytes read_bytes(const std::filesystem::path& path) {
    std::ifstream file{path, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    const auto bytes = std::as_bytes(std::span{text});
    return {bytes.begin(), bytes.end()};
}

bool is_to_be_written(const std::filesystem::path& path) {
    return std::getenv("SHOAL_WRITE_GOLDEN") != nullptr && !std::filesystem::exists(path);
}

void write_if_missing(const std::filesystem::path& path, const Bytes& bytes) {
    if (is_to_be_written(path)) {
        std::ofstream{path, std::ios::binary}.write(reinterpret_cast<const char*>(bytes.data()),
                                                    static_cast<std::streamsize>(bytes.size()));
    }
}

Snapshot with_budgets(Snapshot snapshot) {
    snapshot.microvm.budgets = testing::sample_budgets();
    snapshot.microvm.machine.serial_budget = backend::TokenBucketState{3, 2, 8};
    return snapshot;
}

migration::Hello sample_hello() {
    return {testing::sample_config(), {{"root", 1 << 20}}, {1, {std::byte{1}, std::byte{2}}}, true};
}

migration::Hello with_cpu(migration::Hello hello) {
    hello.cpu = testing::sample_vcpu().cpuid;
    return hello;
}

void set(const machine::GuestMemory& memory, std::uint64_t at, std::uint64_t value) {
    REQUIRE(memory.write(machine::Gpa{at}, value));
}

// A memory of 1 MiB, whole, compressed, and what makes another of it, each with its state.
void write_memories(const std::filesystem::path& folder) {
    vmm::SavedMicrovm saved = testing::sample_snapshot().microvm;
    saved.config.machine.mem_size_mib = 1;
    const machine::GuestMemory memory{memory_bytes};
    set(memory, 0, 1);
    set(memory, 0x1'5000, 2);
    set(memory, memory_bytes - 8, 3);
    SnapshotFiles{{folder / "packed.state", folder / "memory.zst", Compression::zstd}, saved}.write(
        memory);
    SnapshotFiles whole{{folder / "memory.state", folder / "memory"}, saved};
    whole.write(memory);
    Difference difference{whole.id(), vmm::empty_set(memory_bytes)};
    vmm::add_range(difference.pages, {0x15, 0x17});
    set(memory, 0x1'5000, 0);
    set(memory, 0x1'6000, 4);
    SnapshotFiles{{folder / "diff.state", folder / "diff"}, saved, difference}.write(memory);
}

struct Expected {
    std::uint64_t at;
    std::uint64_t value;
};

void check_memory(const std::function<std::uint64_t(std::uint64_t)>& get,
                  std::initializer_list<Expected> all) {
    for (const Expected& expected : all) {
        CAPTURE(expected.at);
        CHECK(get(expected.at) == expected.value);
    }
}

TEST_CASE("the golden states load, and are what is written today") {
    struct Golden {
        const char* name;
        Snapshot snapshot;
    };
    for (const Golden& state : {Golden{"v1/state", testing::sample_snapshot()},
                                Golden{"v1.1/state", with_budgets(testing::sample_snapshot())}}) {
        CAPTURE(state.name);
        write_if_missing(golden / state.name, encode(state.snapshot));
        const Bytes file = read_bytes(golden / state.name);
        REQUIRE_FALSE(file.empty());
        CHECK(encode(decode(file)) == file);
        CHECK(encode(state.snapshot) == file);
    }
}

TEST_CASE("the golden hellos load, and are what is written today") {
    struct Golden {
        const char* name;
        migration::Hello hello;
    };
    for (const Golden& state :
         {Golden{"v1/hello", sample_hello()}, Golden{"v1.1/hello", with_cpu(sample_hello())}}) {
        CAPTURE(state.name);
        write_if_missing(golden / state.name, encode_hello(state.hello));
        const Bytes file = read_bytes(golden / state.name);
        REQUIRE_FALSE(file.empty());
        CHECK(encode_hello(migration::decode_hello(file)) == file);
        CHECK(encode_hello(state.hello) == file);
    }
}

TEST_CASE("the golden memories load: a whole one, a compressed one, and one with its difference") {
    const std::filesystem::path folder = golden / "v1";
    if (is_to_be_written(folder / "memory")) {
        write_memories(folder);
    }
    const auto from_file = [](const std::string& path, const Snapshot& snapshot) {
        return [memory = std::make_shared<machine::GuestMemory>(
                    memory_bytes, open_memory(path, snapshot).file)](std::uint64_t at) {
            return *memory->read<std::uint64_t>(machine::Gpa{at});
        };
    };
    const std::string whole = folder / "memory";
    const Snapshot snapshot = read_state(folder / "memory.state");
    CHECK(snapshot.microvm.config.machine.mem_size_mib == 1);
    const std::initializer_list<Expected> before{
        {0, 1}, {0x1'5000, 2}, {0x1'6000, 0}, {memory_bytes - 8, 3}};
    check_memory(from_file(whole, snapshot), before);

    const Snapshot of_packed = read_state(folder / "packed.state");
    const auto source = open_memory(folder / "memory.zst", of_packed).pages;
    REQUIRE(source);
    check_memory(
        [&](std::uint64_t at) {
            const vmm::Pages pages = source->read(at & ~(abi::page_size - 1));
            std::uint64_t value = 0;
            std::memcpy(&value, &pages.bytes[at - pages.offset], sizeof value);
            return value;
        },
        before);

    const testing::Folder copies;
    const std::string base = copies.path / "memory";
    std::filesystem::copy_file(whole, base);
    rebase_memory(base, folder / "diff");
    check_memory(from_file(base, read_state(folder / "diff.state")),
                 {{0, 1}, {0x1'5000, 0}, {0x1'6000, 4}, {memory_bytes - 8, 3}});
}

}  // namespace
}  // namespace shoal::state
