#include "controlplane/checkpoint/checkpoint_folder.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "devices/host/durable.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::checkpoints::test {

namespace {

namespace fs = std::filesystem;

void write(const std::string& path, const std::string& text) {
    std::ofstream{path, std::ios::binary} << text;
}

std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream{path, std::ios::binary}.rdbuf();
    return text.str();
}

constexpr std::size_t page = page_bytes;

// Memories of two pages, with what `shoal-vmm` writes behind them.
std::string whole_memory(char first, char second) {
    return std::string(page, first) + std::string(page, second) + "SHOALMEM" + std::string(16, 'i');
}
// Of the second page.
std::string difference_memory(char second) {
    return std::string(page, '\0') + std::string(page, second) + "SHOALDIF" + std::string(32, 'j') +
           '\2' + std::string(7, '\0');
}

void flip(const std::string& path, std::uint64_t at) {
    std::fstream file{path, std::ios::binary | std::ios::in | std::ios::out};
    file.seekp(static_cast<std::streamoff>(at));
    file.put('!');
}

// Stands for `shoal-vmm`, which merges.
std::string make_vmm(const store::test::ScratchFolder& scratch, const std::string& merging) {
    const std::string path = scratch.file("vmm");
    write(path, "#!/bin/sh\n" + merging + "\n");
    fs::permissions(path, fs::perms::owner_all);
    return path;
}

constexpr const char* merges =
    "{ head -c 4096 $2; tail -c +4097 $4 | head -c 4096; printf SHOALMEM; head -c 16 /dev/zero; }"
    " >$2.new && mv $2.new $2";

// A pack with these two files, in a partial folder.
std::string receive(const CheckpointFolder& folder, const store::test::ScratchFolder& scratch,
                    const std::string& state, const std::string& memory) {
    const std::string sent = scratch.file("sent");
    fs::create_directories(sent);
    write(CheckpointFolder::state_in(sent), state);
    write(CheckpointFolder::memory_in(sent), memory);
    const std::string partial = folder.make_partial();
    CHECK(CheckpointFolder::pack(sent, CheckpointFolder::pack_in(partial)) > 0);
    return partial;
}

std::size_t entries_in(const std::string& path) {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator{path}, fs::directory_iterator{}));
}

}  // namespace

TEST_CASE("a checkpoint's name has its microVM, its placement and its generation") {
    const CheckpointId id{"a-1", 77, 3};
    CHECK(to_text(id) == "a-1@77.3");
    CHECK(id_in("a-1@77.3") == id);
    for (const char* text : {"", "a", "a@1", "@1.2", "a@1.2.3", "a@01.2", "A@1.2", "a@-1.2",
                             "../x@1.2", "a@1.99999999999999999999"}) {
        CHECK_FALSE(id_in(text));
    }
}

TEST_CASE("a checkpoint has its volumes' content, each as the memory: whole, or merged") {
    const store::test::ScratchFolder scratch;
    const CheckpointFolder folder{scratch.file("checkpoints"), make_vmm(scratch, merges)};
    const auto receive_drives = [&](const std::string& memory, const std::string& drive) {
        const std::string sent = scratch.file("sent");
        fs::create_directories(sent);
        write(CheckpointFolder::drive_in(sent, 0), drive);
        write(CheckpointFolder::drive_in(sent, 1), memory);
        return receive(folder, scratch, "s", memory);
    };
    const CheckpointId first{"a", 7, 1};
    const CheckpointId second{"a", 7, 2};
    folder.install(receive_drives(whole_memory('a', 'b'), whole_memory('c', 'd')), first, {}, 2);
    CHECK(read(folder.drive_of(first, 0)) == whole_memory('c', 'd'));
    folder.install(receive_drives(difference_memory('e'), difference_memory('f')), second, first,
                   2);
    CHECK(read(folder.drive_of(second, 0)).substr(0, 2 * page) ==
          std::string(page, 'c') + std::string(page, 'f'));
    CHECK(read(folder.drive_of(second, 1)).substr(0, 2 * page) ==
          std::string(page, 'a') + std::string(page, 'e'));
    CHECK(entries_in(scratch.file("checkpoints/a@7.2")) == 8);
    CHECK_NOTHROW(folder.expect_sound(second));

    const CheckpointFolder other{scratch.file("other"), ""};
    const auto fetch = [&](std::size_t drives) {
        const std::string partial = other.make_partial();
        folder.pack_again(second, CheckpointFolder::pack_in(partial));
        other.adopt(partial, second, drives);
    };
    CHECK_THROWS_AS(fetch(3), std::runtime_error);
    CHECK(entries_in(scratch.file("other")) == 0);
    fetch(2);
    CHECK(read(other.drive_of(second, 1)) == read(folder.drive_of(second, 1)));
    flip(other.drive_of(second, 1), 4096);
    CHECK_THROWS_AS(other.expect_sound(second), Damage);
    CHECK_THROWS_AS(folder.install(receive_drives("m", "d"), {"a", 7, 3}, {}, 3),
                    std::runtime_error);
}

TEST_CASE("a checkpoint appears whole, and a difference leaves the one that it builds on alone") {
    const store::test::ScratchFolder scratch;
    const CheckpointFolder folder{scratch.file("checkpoints"), make_vmm(scratch, merges)};
    const CheckpointId first{"a", 7, 1};
    const CheckpointId second{"a", 7, 2};
    folder.install(receive(folder, scratch, "s1", whole_memory('a', 'b')), first, {}, 0);
    CHECK(read(folder.state_of(first)) == "s1");
    CHECK(read(folder.memory_of(first)) == whole_memory('a', 'b'));

    folder.install(receive(folder, scratch, "s2", difference_memory('c')), second, first, 0);
    CHECK(read(folder.state_of(second)) == "s2");
    CHECK(read(folder.memory_of(second)).substr(0, 2 * page) ==
          std::string(page, 'a') + std::string(page, 'c'));
    CHECK(read(folder.memory_of(first)) == whole_memory('a', 'b'));
    CHECK(folder.list().size() == 2);
    CHECK(entries_in(scratch.file("checkpoints")) == 2);
    CHECK(entries_in(scratch.file("checkpoints/a@7.2")) == 4);
    CHECK_NOTHROW(folder.expect_sound(first));
    CHECK_NOTHROW(folder.expect_sound(second));

    SUBCASE("one that was sent again takes the place of the one before") {
        folder.install(receive(folder, scratch, "s3", "m3"), second, {}, 0);
        CHECK(read(folder.memory_of(second)) == "m3");
        CHECK_NOTHROW(folder.expect_sound(second));
        CHECK(entries_in(scratch.file("checkpoints")) == 2);
    }
    SUBCASE("one that is removed leaves nothing") {
        folder.remove(first);
        CHECK_FALSE(folder.has(first));
        CHECK(folder.has(second));
        CHECK(entries_in(scratch.file("checkpoints")) == 1);
    }
}

TEST_CASE("damage to a checkpoint is found, also by whoever merges or copies it") {
    const store::test::ScratchFolder scratch;
    const CheckpointFolder folder{scratch.file("checkpoints"), make_vmm(scratch, merges)};
    const CheckpointFolder other{scratch.file("other"), make_vmm(scratch, merges)};
    const CheckpointId first{"a", 7, 1};
    folder.install(receive(folder, scratch, "s1", whole_memory('a', 'b')), first, {}, 0);
    const auto copy = [&](const CheckpointId& id) {
        const std::string partial = other.make_partial();
        folder.pack_again(id, CheckpointFolder::pack_in(partial));
        other.adopt(partial, id, 0);
    };
    SUBCASE("there is none") {
        copy(first);
        CHECK(read(other.memory_of(first)) == whole_memory('a', 'b'));
        CHECK_NOTHROW(other.expect_sound(first));
        return;
    }
    CheckpointId id = first;
    SUBCASE("of its memory") {
        flip(folder.memory_of(first), page + 9);
    }
    SUBCASE("of its state") {
        flip(folder.state_of(first), 0);
    }
    SUBCASE("of the one that it builds on, in a page that has not changed") {
        flip(folder.memory_of(first), 9);
        id = {"a", 7, 2};
        folder.install(receive(folder, scratch, "s2", difference_memory('c')), id, first, 0);
    }
    CHECK_THROWS_AS(folder.expect_sound(id), Damage);
    CHECK_THROWS_AS(copy(id), Damage);
    CHECK(entries_in(scratch.file("other")) == 0);
}

TEST_CASE("what cannot be made a checkpoint leaves nothing, and says why") {
    const store::test::ScratchFolder scratch;
    const CheckpointFolder folder{scratch.file("checkpoints"),
                                  make_vmm(scratch, "echo another snapshot >&2; exit 1")};
    const CheckpointId first{"a", 7, 1};
    folder.install(receive(folder, scratch, "s1", whole_memory('a', 'b')), first, {}, 0);
    std::string partial = receive(folder, scratch, "s2", difference_memory('c'));
    std::string reason = "another snapshot";
    std::optional<CheckpointId> base = first;
    SUBCASE("a difference that cannot be merged") {}
    SUBCASE("a difference to nothing") {
        base = CheckpointId{"a", 6, 1};
        reason = "checkpoint a@6.1 is not here";
    }
    SUBCASE("a memory that is no difference") {
        host::delete_all(partial);
        partial = receive(folder, scratch, "s2", whole_memory('a', 'c'));
        reason = partial + "/memory has no difference to a memory of 0 MiB";
    }
    SUBCASE("a difference to one without checksums") {
        fs::remove(folder.memory_of(first) + ".sums");
        reason = folder.memory_of(first) + ".sums is not there";
    }
    SUBCASE("a pack that is cut short") {
        base = {};
        fs::resize_file(CheckpointFolder::pack_in(partial), 700);
        reason = "/usr/bin/tar: Error is not recoverable: exiting now";
    }
    SUBCASE("a pack with a link instead of a file") {
        base = {};
        const std::string sent = scratch.file("sent");
        fs::remove(CheckpointFolder::memory_in(sent));
        fs::create_symlink("/etc/passwd", CheckpointFolder::memory_in(sent));
        CHECK(CheckpointFolder::pack(sent, CheckpointFolder::pack_in(partial)) > 0);
        reason = "cannot open " + partial + "/memory: Too many levels of symbolic links";
    }
    CHECK_THROWS_WITH(folder.install(partial, {"a", 7, 2}, base, 0), reason.c_str());
    CHECK(folder.list() == std::vector{first});
    CHECK(entries_in(scratch.file("checkpoints")) == 1);
    CHECK(read(folder.memory_of(first)) == whole_memory('a', 'b'));
}

TEST_CASE("the holes of a memory take no room in a pack, and are holes again") {
    const store::test::ScratchFolder scratch;
    const CheckpointFolder folder{scratch.file("checkpoints"), make_vmm(scratch, merges)};
    const std::string partial = receive(folder, scratch, "s", "m");
    fs::resize_file(scratch.file("sent/memory"), 64 << 20);
    CHECK(CheckpointFolder::pack(scratch.file("sent"), CheckpointFolder::pack_in(partial)) <
          64 << 10);
    const CheckpointId id{"a", 7, 1};
    folder.install(partial, id, {}, 0);
    struct stat status {};
    REQUIRE(::stat(folder.memory_of(id).c_str(), &status) == 0);
    CHECK(status.st_size == 64 << 20);
    CHECK(status.st_blocks * 512 < 1 << 20);
}

TEST_CASE("what was unfinished when its host died is deleted, and what is no checkpoint is not") {
    const store::test::ScratchFolder scratch;
    const std::string vmm = make_vmm(scratch, merges);
    const std::string unfinished =
        CheckpointFolder{scratch.file("checkpoints"), vmm}.make_partial();
    fs::create_directories(scratch.file("checkpoints/other"));
    const CheckpointFolder folder{scratch.file("checkpoints"), vmm};
    CHECK_FALSE(fs::exists(unfinished));
    CHECK(folder.list().empty());
    CHECK(fs::exists(scratch.file("checkpoints/other")));
}

TEST_CASE("a disk that would be too full is refused with the numbers") {
    const store::test::ScratchFolder scratch;
    const CheckpointFolder folder{scratch.file("checkpoints"), make_vmm(scratch, merges)};
    CHECK_THROWS_AS(folder.expect_room(std::numeric_limits<std::uint64_t>::max()),
                    std::runtime_error);
}

}  // namespace shoal::checkpoints::test
