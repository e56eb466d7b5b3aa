#include "vmm/state/snapshot_files.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/unit/vmm/state/folder.h"
#include "tests/unit/vmm/state/sample_state.h"
#include "vmm/machine/page_set.h"
#include "vmm/state/snapshot_writer.h"
#include "vmm/state/state_error.h"

namespace shoal::state {
namespace {

constexpr std::uint64_t memory_bytes = 64ULL << 20;  // what the sample's configuration says

using testing::Folder;

void set(const machine::GuestMemory& memory, std::uint64_t at, std::uint64_t value) {
    REQUIRE(memory.write(machine::Gpa{at}, value));
}

std::uint64_t get(const machine::GuestMemory& memory, std::uint64_t at) {
    return *memory.read<std::uint64_t>(machine::Gpa{at});
}

SnapshotId write_snapshot(const SnapshotPaths& paths, const vmm::SavedMicrovm& saved,
                          const machine::GuestMemory& memory,
                          std::optional<Difference> difference = {}) {
    SnapshotFiles files{paths, saved, std::move(difference)};
    files.write(memory);
    return files.id();
}

machine::GuestMemory read_memory(const std::string& path, const Snapshot& snapshot) {
    return {memory_bytes, open_memory(path, snapshot).file};
}

TEST_CASE("memory comes back from its file, whose pages of zeros are holes") {
    const Folder folder;
    const machine::GuestMemory memory{memory_bytes};
    set(memory, 0, 1);
    set(memory, 0x5000, 0);  // touched, but zero
    set(memory, memory_bytes - 8, 2);
    write_snapshot(folder.paths(), testing::sample_snapshot().microvm, memory);
    CHECK(folder.file_count() == 2);
    struct stat status {};
    REQUIRE(::stat(folder.paths().memory.c_str(), &status) == 0);
    CHECK(status.st_blocks * 512 < 64 * 1024);
    CHECK((status.st_mode & 0777) == 0600);

    const Snapshot snapshot = read_state(folder.paths().state);
    const machine::GuestMemory copy = read_memory(folder.paths().memory, snapshot);
    const machine::GuestMemory other = read_memory(folder.paths().memory, snapshot);
    CHECK(get(copy, 0) == 1);
    CHECK(get(copy, memory_bytes - 8) == 2);
    SUBCASE("a write is the copy's alone") {
        set(copy, 0, 3);
        CHECK(get(other, 0) == 1);
    }
    SUBCASE("what is discarded reads as zeros, not as the file") {
        REQUIRE(copy.discard(machine::Gpa{0}, 4096));
        CHECK(get(copy, 0) == 0);
        CHECK(get(other, 0) == 1);
    }
}

TEST_CASE("a memory file belongs to one state") {
    const Folder folder;
    const machine::GuestMemory memory{memory_bytes};
    set(memory, 0, 1);
    write_snapshot(folder.paths(), testing::sample_snapshot().microvm, memory);
    const Snapshot before = read_state(folder.paths().state);
    const std::string old = folder.paths().memory + ".old";
    std::filesystem::create_hard_link(folder.paths().memory, old);
    set(memory, 0, 2);
    write_snapshot({folder.path / "state2", folder.path / "memory2"},
                   testing::sample_snapshot().microvm, memory);
    std::filesystem::rename(folder.path / "memory2", folder.paths().memory);
    SUBCASE("between the two renames the old one is under its second name") {
        CHECK(get(read_memory(folder.paths().memory, before), 0) == 1);
        const Snapshot after = read_state(folder.path / "state2");
        CHECK(get(read_memory(folder.paths().memory, after), 0) == 2);
    }
    SUBCASE("without it the pair is refused") {
        std::filesystem::remove(old);
        CHECK_THROWS_AS(static_cast<void>(read_memory(folder.paths().memory, before)), StateError);
    }
}

vmm::PageSet pages_at(std::initializer_list<std::uint64_t> addresses) {
    vmm::PageSet pages = vmm::empty_set(memory_bytes);
    for (const std::uint64_t at : addresses) {
        pages[at / 4096 / 64] |= 1ULL << at / 4096 % 64;
    }
    return pages;
}

std::uint64_t blocks_of(const std::string& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512 / 4096;
}

TEST_CASE("a difference has its pages alone, and with its base makes the memory") {
    const Folder folder;
    const auto saved = testing::sample_snapshot().microvm;
    const machine::GuestMemory memory{memory_bytes};
    const SnapshotPaths second{folder.path / "state2", folder.path / "memory2"};
    for (const std::uint64_t at : {0x1000U, 0x2000U, 0x3000U}) {
        set(memory, at, 1);
    }
    const SnapshotId base = write_snapshot(folder.paths(), saved, memory);
    set(memory, 0x1000, 0);
    set(memory, 0x2000, 2);
    set(memory, 0x3000, 3);  // not in the set
    set(memory, memory_bytes - 8, 4);
    const Difference difference{base, pages_at({0x1000, 0x2000, memory_bytes - 8})};
    SUBCASE("in a file of its own") {
        write_snapshot(second, saved, memory, difference);
        CHECK(blocks_of(second.memory) <= 4);  // and the mark
        const Snapshot after = read_state(second.state);
        CHECK_THROWS_WITH(static_cast<void>(read_memory(second.memory, after)),
                          ("the memory file " + second.memory +
                           " has only what changed since another snapshot: rebase it first")
                              .c_str());
        SUBCASE("that is merged later") {
            rebase_memory(folder.paths().memory, second.memory);
            CHECK(folder.file_count() == 4);
        }
        SUBCASE("that another difference is merged into first") {
            set(memory, 0x4000, 5);
            const SnapshotId middle = after.id;
            write_snapshot(second, saved, memory, Difference{middle, pages_at({0x4000})});
            rebase_memory(folder.paths().memory, second.memory);
            CHECK(get(read_memory(folder.paths().memory, read_state(second.state)), 0x4000) == 5);
        }
        std::filesystem::rename(folder.paths().memory, second.memory);
    }
    SUBCASE("over the base's file") {
        std::filesystem::rename(folder.paths().memory, second.memory);
        write_snapshot(second, saved, memory, difference);
    }
    const machine::GuestMemory copy = read_memory(second.memory, read_state(second.state));
    CHECK(get(copy, 0x1000) == 0);
    CHECK(get(copy, 0x2000) == 2);
    CHECK(get(copy, 0x3000) == 1);
    CHECK(get(copy, memory_bytes - 8) == 4);
}

TEST_CASE("a difference is merged into its base alone") {
    const Folder folder;
    const auto saved = testing::sample_snapshot().microvm;
    const machine::GuestMemory memory{memory_bytes};
    const SnapshotPaths second{folder.path / "state2", folder.path / "memory2"};
    const std::string base = folder.paths().memory;
    set(memory, 0, 1);
    const SnapshotId id = write_snapshot(folder.paths(), saved, memory);
    write_snapshot(second, saved, memory, Difference{id, pages_at({0})});
    SUBCASE("not into another snapshot") {
        write_snapshot(folder.paths(), saved, memory);
        CHECK_THROWS_AS(rebase_memory(base, second.memory), StateError);
    }
    SUBCASE("not into a difference") {
        CHECK_THROWS_AS(rebase_memory(second.memory, second.memory), StateError);
    }
    SUBCASE("not a whole memory") {
        CHECK_THROWS_AS(rebase_memory(base, base), StateError);
    }
    SUBCASE("not of another size") {
        std::filesystem::resize_file(second.memory, memory_bytes);
        CHECK_THROWS_AS(rebase_memory(base, second.memory), StateError);
    }
    SUBCASE("what is no memory file at all") {
        CHECK_THROWS_AS(rebase_memory(folder.paths().state, second.memory), StateError);
        CHECK_THROWS_AS(rebase_memory(base, folder.path), StateError);
        CHECK_THROWS(rebase_memory(folder.path / "nothing", second.memory));
    }
    CHECK(get(read_memory(base, read_state(folder.paths().state)), 0) == 1);
}

// Waits for the end; the state then.
WriterState finish(SnapshotWriter& writer) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    while (writer.state() == WriterState::writing && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    return writer.state();
}

TEST_CASE("a snapshot that is written behind the guest has what the memory was, each time") {
    const Folder folder;
    machine::GuestMemory memory{memory_bytes};
    set(memory, 0, 1);
    set(memory, 0x5000, 1);
    for (std::uint64_t round = 1; round <= 3; ++round) {
        CAPTURE(round);
        SnapshotWriter writer{folder.paths(), testing::sample_snapshot().microvm, memory};
        set(memory, 0, round + 1);
        set(memory, round << 20, 7);  // where the memory had nothing
        CHECK(finish(writer) == WriterState::done);
        CHECK(folder.file_count() == 2);
        const Snapshot snapshot = read_state(folder.paths().state);
        const machine::GuestMemory copy = read_memory(folder.paths().memory, snapshot);
        CHECK(get(copy, 0) == round);
        CHECK(get(copy, 0x5000) == 1);
        CHECK(get(copy, (round - 1) << 20) == (round == 1 ? 1 : 7));
        CHECK(get(copy, round << 20) == 0);
        struct stat status {};
        REQUIRE(::stat(folder.paths().memory.c_str(), &status) == 0);
        CHECK(status.st_blocks * 512 < 64 * 1024);
    }
    CHECK(get(memory, 0) == 4);
}

TEST_CASE("a snapshot behind the guest that fails, or is given up, leaves the old one whole") {
    const Folder folder;
    machine::GuestMemory memory{memory_bytes};
    set(memory, 0, 1);
    write_snapshot(folder.paths(), testing::sample_snapshot().microvm, memory);
    set(memory, 0, 2);
    SUBCASE("its old file cannot be kept") {
        std::filesystem::create_directory(folder.path / "other");
        const SnapshotPaths paths{folder.path / "other/state", folder.path / "other/memory"};
        std::ofstream{paths.memory} << "old";
        std::filesystem::create_directory(paths.memory + ".old");
        SnapshotWriter writer{paths, testing::sample_snapshot().microvm, memory};
        CHECK(finish(writer) == WriterState::failed);
        CHECK(writer.sentence().find("cannot link " + paths.memory) != std::string::npos);
        CHECK_FALSE(std::filesystem::exists(paths.memory + ".new"));
        CHECK_FALSE(std::filesystem::exists(paths.state + ".new"));
        std::filesystem::remove_all(folder.path / "other");
    }
    SUBCASE("nobody waits for it") {
        { SnapshotWriter{folder.paths(), testing::sample_snapshot().microvm, memory}; }
    }
    const Snapshot snapshot = read_state(folder.paths().state);
    const std::uint64_t value = get(read_memory(folder.paths().memory, snapshot), 0);
    CHECK((value == 1 || value == 2));
    CHECK_FALSE(std::filesystem::exists(folder.paths().memory + ".new"));
}

TEST_CASE("a snapshot that cannot be written leaves nothing") {
    const Folder folder;
    const machine::GuestMemory memory{memory_bytes};
    const auto saved = testing::sample_snapshot().microvm;
    SnapshotPaths paths = folder.paths();
    SUBCASE("no folder") {
        paths.state = folder.path / "nowhere" / "state";
    }
    SUBCASE("no regular file") {
        paths.state = "/dev/null";
    }
    CHECK_THROWS(write_snapshot(paths, saved, memory));
    machine::GuestMemory behind{memory_bytes};
    CHECK_THROWS(SnapshotWriter(paths, saved, behind));
    CHECK(folder.file_count() == 0);
}

}  // namespace
}  // namespace shoal::state
