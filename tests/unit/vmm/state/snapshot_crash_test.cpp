// Snapshots over snapshots, with a crash in each: the two paths load as the one or as the other.
#include <doctest/doctest.h>

#include <filesystem>
#include <optional>

#include "devices/abi/address_map.h"
#include "devices/host/sanitizers.h"
#include "tests/unit/vmm/state/crash.h"
#include "tests/unit/vmm/state/folder.h"
#include "tests/unit/vmm/state/sample_state.h"
#include "vmm/machine/page_set.h"
#include "vmm/state/snapshot_files.h"

namespace shoal::state {
namespace {

using testing::Fate;
using testing::Folder;

constexpr std::uint64_t memory_bytes = 64ULL << 20;  // what the sample's configuration says
constexpr std::uint64_t changing_at = 0x1000;        // each snapshot has its number there
constexpr std::uint64_t constant_at = 0x5000;
constexpr std::uint64_t constant = 7;

enum class Kind { full, diff };

// How many calls further the next crash is. A process with a sanitizer's memory takes long to fork,
// and what is asked for here is no matter of memory or threads.
constexpr unsigned stride = host::has_asan || host::has_tsan ? 6 : 1;

// What the two paths load as: the snapshot's number, which its memory has.
struct Loaded {
    SnapshotId id;
    std::uint64_t number;
};

std::optional<Loaded> load(const Folder& folder) {
    if (!std::filesystem::exists(folder.paths().state)) {
        return std::nullopt;
    }
    const Snapshot snapshot = read_state(folder.paths().state);
    const machine::GuestMemory memory{memory_bytes,
                                      open_memory(folder.paths().memory, snapshot).file};
    CHECK(*memory.read<std::uint64_t>(machine::Gpa{constant_at}) == constant);
    return Loaded{snapshot.id, *memory.read<std::uint64_t>(machine::Gpa{changing_at})};
}

// A difference to what is there.
Fate write(const Folder& folder, Kind kind, std::uint64_t number, unsigned calls_before_crash) {
    const auto before = load(folder);
    const machine::GuestMemory memory{memory_bytes};
    REQUIRE(memory.write(machine::Gpa{changing_at}, number));
    std::optional<Difference> difference;
    if (kind == Kind::diff) {
        difference = Difference{before->id, vmm::empty_set(memory_bytes)};
        difference->pages[0] |= 1ULL << changing_at / abi::page_size;
    } else {
        REQUIRE(memory.write(machine::Gpa{constant_at}, constant));
    }
    return testing::crash_after(calls_before_crash, [&] {
        SnapshotFiles files{folder.paths(), testing::sample_snapshot().microvm, difference};
        files.write(memory);
    });
}

// Writes the second of two after each crash of the first, and crashes in it, too.
void crash_everywhere(Kind first, Kind second, std::optional<std::uint64_t> number_before) {
    constexpr std::uint64_t number = 10;
    Fate first_fate = Fate::crashed;
    for (unsigned first_calls = 0; first_fate == Fate::crashed; first_calls += stride) {
        Fate second_fate = Fate::crashed;
        for (unsigned second_calls = 0; second_fate == Fate::crashed; second_calls += stride) {
            CAPTURE(first_calls);
            CAPTURE(second_calls);
            const Folder folder{"/dev/shm"};  // it is the process that crashes: no disk is needed
            if (number_before) {
                REQUIRE(write(folder, Kind::full, *number_before, ~0U) == Fate::finished);
            }
            first_fate = write(folder, first, number, first_calls);
            const auto middle = load(folder);
            REQUIRE((middle || (first_fate == Fate::crashed && !number_before)));
            if (!middle && second == Kind::diff) {
                break;  // to nothing
            }
            if (first_fate == Fate::finished) {
                CHECK(middle->number == number);
            }
            second_fate = write(folder, second, number + 1, second_calls);
            const auto after = load(folder);
            REQUIRE((after || (second_fate == Fate::crashed && !middle)));
            if (second_fate == Fate::finished) {
                CHECK(after->number == number + 1);
                CHECK(folder.file_count() == 2);
            } else if (after && middle) {
                CHECK((after->number == middle->number || after->number == number + 1));
            }
        }
    }
}

TEST_CASE("after a crash in a snapshot, and one in the next, the paths load as one of them") {
    SUBCASE("the first one, then a full one") {
        crash_everywhere(Kind::full, Kind::full, std::nullopt);
    }
    SUBCASE("the first one, then a difference") {
        crash_everywhere(Kind::full, Kind::diff, std::nullopt);
    }
    SUBCASE("a full one over a full one, then a full one") {
        crash_everywhere(Kind::full, Kind::full, 1);
    }
    SUBCASE("a full one over a full one, then a difference") {
        crash_everywhere(Kind::full, Kind::diff, 1);
    }
    SUBCASE("a difference, then a full one") {
        crash_everywhere(Kind::diff, Kind::full, 1);
    }
    SUBCASE("a difference, then a difference") {
        crash_everywhere(Kind::diff, Kind::diff, 1);
    }
}

}  // namespace
}  // namespace shoal::state
