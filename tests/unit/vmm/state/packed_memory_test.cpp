#include "vmm/state/packed_memory.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>

#include "tests/unit/vmm/state/folder.h"
#include "tests/unit/vmm/state/sample_state.h"
#include "vmm/state/snapshot_files.h"
#include "vmm/state/state_error.h"
#include "vmm/state/working_set.h"

namespace shoal::state {
namespace {

constexpr std::uint64_t memory_bytes = 64ULL << 20;  // what the sample's configuration says
constexpr std::uint64_t frame_count = memory_bytes / packed_frame_bytes + 1;

using Bytes = std::vector<char>;

Bytes read_file(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator{file}, {}};
}

void write_file(const std::string& path, const Bytes& bytes) {
    std::ofstream{path, std::ios::binary}.write(bytes.data(),
                                                static_cast<std::streamsize>(bytes.size()));
}

// A compressed snapshot of a memory with three numbers in it.
struct Packed {
    testing::Folder folder;
    machine::GuestMemory memory{memory_bytes};
    SnapshotPaths paths{folder.path / "state", folder.path / "memory", Compression::zstd};

    Packed() {
        for (const std::uint64_t at :
             {std::uint64_t{0}, std::uint64_t{0x15000}, memory_bytes - 8}) {
            REQUIRE(memory.write(machine::Gpa{at}, at + 1));
        }
        SnapshotFiles{paths, testing::sample_snapshot().microvm}.write(memory);
    }
    [[nodiscard]] std::unique_ptr<vmm::PageSource> open() const {
        vmm::MemorySource source = open_memory(paths.memory, read_state(paths.state));
        CHECK(!source.file);
        return std::move(source.pages);
    }
    // The place of the frame's entry in the table.
    [[nodiscard]] static std::size_t entry_of(const Bytes& file, std::size_t frame) {
        return file.size() - seek_table_bytes(frame_count) + 8 + frame * 8;
    }
};

std::string why_refused(const std::function<void()>& call) {
    try {
        call();
    } catch (const StateError& error) {
        return error.what();
    }
    return "not refused";
}

TEST_CASE("a compressed memory comes back, frame by frame, and is short") {
    const Packed packed;
    const auto source = packed.open();
    REQUIRE(source);
    for (std::uint64_t at = 0; at < memory_bytes; at += packed_frame_bytes) {
        const vmm::Pages pages = source->read(at + packed_frame_bytes - abi::page_size);
        CHECK(pages.offset == at);
        CHECK(
            std::ranges::equal(pages.bytes, packed.memory.bytes().subspan(at, packed_frame_bytes)));
    }
    CHECK(std::filesystem::file_size(packed.paths.memory) < frame_count * 40);
}

TEST_CASE("pages that nobody has touched are not looked at when a memory is compressed") {
    const Packed packed;
    struct stat status {};
    REQUIRE(::fstat(packed.memory.fd(), &status) == 0);
    CHECK(status.st_blocks * 512 == 3 * 4096);
}

TEST_CASE("zstd makes the memory file of it that is not compressed") {
    const Packed packed;
    const std::string plain = packed.folder.path / "plain";
    REQUIRE(std::system(("zstd -q -d < " + packed.paths.memory + " > " + plain).c_str()) == 0);
    const vmm::MemorySource source = open_memory(plain, read_state(packed.paths.state));
    CHECK(source.file);
}

TEST_CASE("a compressed memory is loaded with its working set, and without one") {
    const Packed packed;
    const Snapshot snapshot = read_state(packed.paths.state);
    CHECK(open_memory(packed.paths.memory, snapshot).ahead.empty());
    // The last page's frame has nothing but the mark's behind it.
    const WorkingSet pages{memory_bytes / abi::page_size - 1, 0, 21, 16};
    write_working_set(working_set_beside(packed.paths.memory), snapshot.id, pages);
    const vmm::MemorySource source = open_memory(packed.paths.memory, snapshot);
    CHECK(source.ahead == pages);
    CHECK(source.pages->read(0x15000).offset == 0x10000);
    write_file(packed.paths.memory + ".working-set", {'x'});
    CHECK(open_memory(packed.paths.memory, snapshot).ahead.empty());
    const std::string elsewhere = packed.paths.memory + ".elsewhere";
    write_working_set(elsewhere, snapshot.id, pages);
    CHECK(open_memory(packed.paths.memory, snapshot, elsewhere).ahead == pages);
}

TEST_CASE("a damaged frame is found when it is read, and named") {
    const Packed packed;
    Bytes file = read_file(packed.paths.memory);
    file[10] = static_cast<char>(file[10] ^ 1);
    write_file(packed.paths.memory, file);
    const auto source = packed.open();
    const std::string why = why_refused([&] { static_cast<void>(source->read(0)); });
    CHECK(why.find("frame 0 of 1025, at byte 0,") != std::string::npos);
    CHECK(source->read(packed_frame_bytes).bytes.size() == packed_frame_bytes);
}

TEST_CASE("a table that does not fit the file or the memory is refused before a frame is read") {
    const Packed packed;
    Bytes file = read_file(packed.paths.memory);
    const auto change = [&](std::size_t frame, std::size_t byte) {
        char& place = file[Packed::entry_of(file, frame) + byte];
        place = static_cast<char>(place ^ 1);
    };
    SUBCASE("a frame that is a byte longer or shorter") {
        change(3, 0);
    }
    SUBCASE("a frame that is longer than any can be") {
        change(3, 3);
    }
    SUBCASE("frames of another size") {
        change(0, 6);
    }
    SUBCASE("one frame of another size") {
        change(7, 5);
    }
    SUBCASE("a mark that is larger than a frame") {
        change(frame_count - 1, 6);
    }
    SUBCASE("bytes before the first") {
        file.insert(file.begin(), 16, '\0');
    }
    SUBCASE("the end of another file") {
        file.erase(file.begin(),
                   file.begin() + static_cast<std::ptrdiff_t>(Packed::entry_of(file, 0)) - 8);
    }
    write_file(packed.paths.memory, file);
    const std::string why = why_refused([&] { static_cast<void>(packed.open()); });
    CHECK(why.find("the compressed memory file " + packed.paths.memory + " is damaged") == 0);
}

TEST_CASE("a compressed memory of another size, or of another snapshot, is refused") {
    const Packed packed;
    Snapshot snapshot = read_state(packed.paths.state);
    SUBCASE("twice as large") {
        snapshot.microvm.config.machine.mem_size_mib *= 2;
    }
    SUBCASE("another snapshot's") {
        snapshot.id[0] ^= std::byte{1};
    }
    CHECK_THROWS_AS(static_cast<void>(open_memory(packed.paths.memory, snapshot)), StateError);
}

TEST_CASE("nothing is merged into a compressed memory file") {
    const Packed packed;
    const Snapshot snapshot = read_state(packed.paths.state);
    const SnapshotPaths over{packed.paths.state, packed.paths.memory};
    const std::string why = why_refused([&] {
        SnapshotFiles{over, snapshot.microvm, Difference{snapshot.id, vmm::empty_set(memory_bytes)}}
            .write(packed.memory);
    });
    CHECK(why.find("zstd -d") != std::string::npos);
    CHECK(packed.open());
    const std::string apart = packed.folder.path / "apart";
    SnapshotFiles{{packed.folder.path / "state2", apart},
                  snapshot.microvm,
                  Difference{snapshot.id, vmm::empty_set(memory_bytes)}}
        .write(packed.memory);
    const std::string also = why_refused([&] { rebase_memory(packed.paths.memory, apart); });
    CHECK(also.find("zstd -d") != std::string::npos);
}

}  // namespace
}  // namespace shoal::state
