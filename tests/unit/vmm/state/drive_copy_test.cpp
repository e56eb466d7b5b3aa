#include "vmm/state/drive_copy.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "tests/unit/vmm/state/folder.h"
#include "tests/unit/vmm/state/sample_state.h"
#include "vmm/state/state_error.h"

namespace shoal::state {
namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t drive_bytes = 70 * page;
const std::atomic<bool> goes_on = false;

// A drive whose guest writes when the test says so.
struct Drive {
    explicit Drive(const testing::Folder& folder, std::uint64_t size_bytes = drive_bytes)
        : path{folder.path / "disk"} {
        host::UniqueFd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
        REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) == 0);
        auto log = std::make_shared<machine::WriteLog>(size_bytes);
        log->start();
        drive = std::make_shared<LoggedDrive>(
            LoggedDrive{"d", {std::move(fd), size_bytes, std::move(log)}, {}});
    }
    void write(std::uint64_t at, char byte) {
        const std::vector<char> bytes(page, byte);
        REQUIRE(::pwrite(drive->content.fd.get(), bytes.data(), page,
                         static_cast<off_t>(at * page)) == page);
        drive->content.writes->add(at * page, page);
    }
    [[nodiscard]] DriveCopies copies(const std::string& to) const {
        DriveCopies all;
        all.add(drive, to);
        return all;
    }

    std::string path;
    std::shared_ptr<LoggedDrive> drive;
};

std::string read(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

void complete(DriveCopies& copies, const SnapshotId& id) {
    copies.finish(id);
    copies.sync();
    copies.publish();
}

constexpr SnapshotId first_id{std::byte{1}};
constexpr SnapshotId second_id{std::byte{2}};

TEST_CASE("a drive's copy has what was on it when the guest stood still, then what has changed") {
    const testing::Folder folder;
    Drive drive{folder};
    drive.write(3, 'a');
    drive.write(69, 'z');
    const std::string whole = folder.path / "whole";
    auto copies = drive.copies(whole);
    drive.write(4, 'b');
    copies.copy_behind(goes_on);
    drive.write(3, 'c');
    complete(copies, first_id);
    const std::string disk = read(drive.path);
    CHECK(read(whole).substr(0, drive_bytes) == disk);
    CHECK(disk[3 * page] == 'c');

    drive.drive->base = first_id;
    drive.write(5, 'd');
    const std::string difference = folder.path / "difference";
    auto more = drive.copies(difference);
    drive.write(68, 'e');
    more.copy_behind(goes_on);
    drive.write(5, 'f');
    complete(more, second_id);
    const host::UniqueFd file{::open(difference.c_str(), O_RDONLY | O_CLOEXEC)};
    const auto mark = read_mark(file.get(), drive_bytes);
    REQUIRE(mark);
    REQUIRE(mark->difference);
    CHECK(mark->id == second_id);
    CHECK(mark->difference->base == first_id);
    CHECK(mark->difference->pages == vmm::PageSet{1 << 5, 1 << 4});
    rebase_memory(whole, difference);
    CHECK(read(whole).substr(0, drive_bytes) == read(drive.path));
}

TEST_CASE("drives are a part of the snapshot that is written with them") {
    const testing::Folder folder;
    Drive drive{folder};
    drive.write(1, 'a');
    machine::GuestMemory memory{4 << 20};
    auto copies = drive.copies(folder.path / "drive");
    copies.copy_behind(goes_on);
    SnapshotFiles files{folder.paths(), testing::sample_snapshot().microvm, {}, std::move(copies)};
    drive.write(1, 'b');  // the guest runs again
    files.write(memory);
    CHECK(read(folder.path / "drive")[page] == 'a');
    const host::UniqueFd file{::open((folder.path / "drive").c_str(), O_RDONLY | O_CLOEXEC)};
    CHECK(read_mark(file.get(), drive_bytes)->id == files.id());
}

TEST_CASE("a copy that cannot be right is none, and leaves nothing") {
    const testing::Folder folder;
    const std::string to = folder.path / "copy";
    SUBCASE("somebody else has taken the log over") {
        Drive drive{folder};
        auto copies = drive.copies(to);
        copies.copy_behind(goes_on);
        drive.drive->content.writes->stop();
        CHECK_THROWS_WITH(copies.finish(first_id),
                          "the drive d was replaced, or copied by somebody else, meanwhile");
    }
    SUBCASE("the guest writes faster than it is copied") {
        // Each round finds what the next one must copy.
        Drive drive{folder, (DriveCopies::most_pages + 64) * page};
        auto copies = drive.copies(to);
        const auto write_all = [&] {
            drive.drive->content.writes->add(0, (DriveCopies::most_pages + 64) * page);
        };
        write_all();
        std::atomic<bool> is_over = false;
        std::jthread guest{[&] {
            while (!is_over) {
                write_all();
            }
        }};
        CHECK_THROWS_AS(copies.copy_behind(goes_on), StateError);
        is_over = true;
    }
    SUBCASE("a drive of no whole pages") {
        const Drive drive{folder, drive_bytes + 512};
        CHECK_THROWS_WITH(
            static_cast<void>(drive.copies(to)),
            "the drive d has 287232 bytes: a multiple of 4096, and at most 1 TiB, can be saved");
    }
    SUBCASE("a file that became shorter") {
        Drive drive{folder};
        drive.write(69, 'a');
        auto copies = drive.copies(to);
        REQUIRE(::ftruncate(drive.drive->content.fd.get(), page) == 0);
        drive.drive->content.writes->add(69 * page, page);
        CHECK_THROWS(copies.finish(first_id));
    }
    CHECK(folder.file_count() == 1);
}

}  // namespace
}  // namespace shoal::state
