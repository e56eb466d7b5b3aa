// Which pages of a library get ready page tables, and which files get none.
#include "controlplane/cli/ready_tables.h"

#include <doctest/doctest.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <sstream>
#include <utility>
#include <vector>

#include "devices/host/unique_fd.h"

namespace shoal::cli {
namespace {

constexpr std::uint64_t page = 4096;

// A library as today's linkers make it: headers, code, constants, data.
struct Library {
    Elf64_Ehdr header{};
    Elf64_Phdr segments[4]{};

    Library() {
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_machine = EM_X86_64;
        header.e_type = ET_DYN;
        header.e_phoff = offsetof(Library, segments);
        header.e_phentsize = sizeof(Elf64_Phdr);
        header.e_phnum = 4;
        set(0, PF_R, 0, 0, page + 100);
        set(1, PF_R | PF_X, 2 * page, 2 * page, 3 * page);
        set(2, PF_R, 5 * page, 5 * page, page);
        set(3, PF_R | PF_W, 7 * page + 0x800, 6 * page + 0x800, page);
    }
    void set(std::size_t idx, std::uint32_t flags, std::uint64_t address, std::uint64_t offset,
             std::uint64_t size) {
        segments[idx] = {PT_LOAD, flags, offset, address, address, size, size, page};
    }
};

struct Line {
    std::uint64_t first, offset, count;
    std::string rights;
    std::string copy;  // the line before it: what is copied to the offset
};

// An archive, and what was said of its tables.
struct Archive {
    host::UniqueFd fd{::memfd_create("test", MFD_CLOEXEC)};
    CpioWriter writer{fd.get(), 1 << 30};
    ReadyTables tables{writer};
};

std::vector<Line> lines_of(Archive& archive, const Library& library, std::uint64_t offset = 0,
                           std::uint64_t size_bytes = 8 * page) {
    const host::UniqueFd fd{::memfd_create("test", MFD_CLOEXEC)};
    REQUIRE(::write(fd.get(), &library, sizeof library) == sizeof library);
    REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) == 0);
    const std::size_t before = archive.tables.lines().size();
    archive.tables.add(fd.get(), "/the file", offset, size_bytes);
    std::istringstream text{archive.tables.lines().substr(before)};
    std::vector<Line> lines;
    std::string copy;
    for (std::string one; std::getline(text, one, '\0');) {
        if (one.starts_with("copy ")) {
            copy = one;
            continue;
        }
        std::istringstream words{one};
        std::string word;
        Line line{};
        words >> word >> line.first >> line.offset >> line.count >> line.rights;
        CHECK(word == "rights");
        line.copy = std::exchange(copy, {});
        lines.push_back(line);
    }
    return lines;
}

std::vector<Line> lines_of(const Library& library) {
    Archive archive;
    return lines_of(archive, library);
}

TEST_CASE("what a loader maps is in the tables, where its addresses say") {
    const auto lines = lines_of(Library{});
    REQUIRE(lines.size() == 4);
    const std::uint64_t lead = lines[0].first;
    CHECK(lead < 512);
    CHECK(lines[0].count == 2);
    CHECK(lines[0].rights == "f");
    CHECK(lines[1].first == lead + 2);
    CHECK(lines[1].offset == 2 * page);
    CHECK(lines[1].count == 3);
    CHECK(lines[1].rights == "x");
    CHECK(lines[2].first == lead + 5);
    CHECK(lines[2].rights == "r");
    CHECK(lines[3].first == lead + 7);
    CHECK(lines[3].offset == page);
    CHECK(lines[3].count == 2);
    CHECK(lines[3].rights == "w1");
}

TEST_CASE("pages that programs write come along") {
    Archive archive;
    Library library;
    const auto lines = lines_of(archive, library);
    REQUIRE(lines.size() == 4);
    CHECK(lines[2].copy.empty());
    const auto copy_of = [](const Line& line, std::uint64_t size) {
        return "copy " + std::to_string(line.offset) + " " + std::to_string(size) + " " +
               std::to_string(6 * page) + " /the file";
    };
    CHECK(lines[3].copy == copy_of(lines[3], 2 * page));
    CHECK(archive.writer.size_bytes() == lines[3].offset + 2 * page);
    SUBCASE("up to the file's end") {
        const auto shorter = lines_of(archive, library, 0, 8 * page - 100);
        CHECK(shorter[3].copy == copy_of(shorter[3], 2 * page - 100));
    }
    SUBCASE("but not those that are code, too") {
        library.segments[3].p_flags |= PF_X;
        CHECK(lines_of(archive, library).size() == 3);
    }
    SUBCASE("nor those that lie far from their place") {
        library.segments[3].p_vaddr += 200 * page;
        CHECK(lines_of(archive, library).size() == 3);
    }
}

TEST_CASE("of pages that programs write the one in which the file ends comes along, too") {
    Archive archive;
    Library library;
    library.set(3, PF_R | PF_W, 7 * page + 0x800, 6 * page + 0x800, 0x900);
    const auto lines = lines_of(archive, library, 0, 7 * page + 0x100);
    REQUIRE(lines.size() == 4);
    CHECK(lines[3].count == 2);
    CHECK(archive.writer.size_bytes() == lines[3].offset + 2 * page);
    // Behind the file's end there is nothing of the archive.
    archive.writer.finish();
    std::vector<char> bytes(page);
    REQUIRE(::pread(archive.fd.get(), bytes.data(), page,
                    static_cast<off_t>(lines[3].offset + page)) == page);
    CHECK(std::ranges::count(bytes, '\0') == page);
}

TEST_CASE("each file has tables of its own, and its place in the archive counts") {
    Archive archive;
    Library library;
    library.set(1, PF_R | PF_X, 2 * page, 2 * page, 6 * page);
    library.set(2, PF_R, 600 * page, 5 * page, page);
    library.header.e_phnum = 3;
    const auto first = lines_of(archive, library, 10 * page);
    const auto second = lines_of(archive, library, 20 * page);
    REQUIRE(first.size() == 3);
    REQUIRE(second.size() == 3);
    CHECK(first[2].first == first[0].first + 600);
    CHECK(second[0].first / 512 > first[2].first / 512);
    CHECK(second[1].offset == 22 * page);
}

TEST_CASE("no more tables are asked for than the kernel takes") {
    Archive archive;
    std::uint64_t end = 0;
    for (auto lines = lines_of(archive, Library{}); !lines.empty();
         lines = lines_of(archive, Library{})) {
        end = lines.back().first + lines.back().count;
    }
    // The last of them is not used when the file would reach beyond it.
    CHECK(end > 254 * 512);
    CHECK(end <= 256 * 512);
}

TEST_CASE("files with another layout have no ready tables") {
    Library library;
    SUBCASE("a program with a fixed address") {
        library.header.e_type = ET_EXEC;
    }
    SUBCASE("no ELF file") {
        library.header.e_ident[0] = 0;
    }
    SUBCASE("not from the file's start") {
        library.segments[0].p_offset = page;
    }
    SUBCASE("not from address 0") {
        library.segments[0].p_vaddr = page;
    }
    SUBCASE("written from its start on") {
        library.segments[0].p_flags |= PF_W;
    }
    SUBCASE("aligned to more than pages") {
        library.segments[1].p_align = 2 << 20;
    }
    SUBCASE("offset and address do not fit") {
        library.segments[1].p_vaddr += 8;
    }
    SUBCASE("descending") {
        library.segments[2].p_vaddr = 0;
    }
    SUBCASE("an address beyond 64 MiB") {
        library.segments[2].p_vaddr = 0xFFFFFFFFFFFFF000;
    }
    SUBCASE("an offset behind the file's end") {
        library.segments[2].p_offset = 8 * page;
        library.segments[2].p_vaddr = 8 * page;
    }
    SUBCASE("larger than the file") {
        library.segments[2].p_filesz = ~0ULL;
    }
    CHECK(lines_of(library).empty());
}

TEST_CASE("pages behind the file's last whole page are left to the kernel") {
    Archive archive;
    Library library;
    library.set(2, PF_R, 5 * page, 5 * page, 2 * page);
    library.header.e_phnum = 3;
    const auto lines = lines_of(archive, library, 0, 6 * page + 1);
    REQUIRE(lines.size() == 3);
    CHECK(lines[2].count == 1);
}

}  // namespace
}  // namespace shoal::cli
