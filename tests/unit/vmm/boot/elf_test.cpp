// The ELF loader on sound and hostile kernels.
#include "vmm/boot/elf.h"

#include <doctest/doctest.h>

#include "devices/abi/address_map.h"
#include "tests/unit/vmm/boot/image_builder.h"

namespace shoal::boot {
namespace {

using machine::Gpa;
using machine::GuestMemory;
using testing::ElfImage;
using testing::MemoryFile;

constexpr std::uint64_t start = 0x20'0000;

ElfKernel load(const std::string& bytes) {
    const MemoryFile file{bytes};
    const GuestMemory memory{8 << 20};
    return load_elf(memory, ImageFile{"kernel", file.path()});
}

// The sentence that refuses these bytes, or "" when they are taken.
std::string refusal(const std::string& bytes) {
    try {
        static_cast<void>(load(bytes));
        return {};
    } catch (const BootError& error) {
        return error.what();
    }
}

bool is_refused_with(const ElfImage& image, const std::string& words) {
    const std::string sentence = refusal(image.bytes());
    INFO(sentence);
    return sentence.find(words) != std::string::npos;
}

TEST_CASE("a kernel's segments are copied to where they belong") {
    ElfImage image{start, "these bytes"};
    const MemoryFile file{image.bytes()};
    const GuestMemory memory{8 << 20};
    const ElfKernel kernel = load_elf(memory, ImageFile{"kernel", file.path()});
    CHECK(kernel.entry == Gpa{start});
    CHECK(!kernel.pvh_entry);
    CHECK(kernel.end == Gpa{start + 11});
    CHECK(std::memcmp(memory.slice(Gpa{start}, 11)->data(), "these bytes", 11) == 0);
}

TEST_CASE("memory beyond a segment's file bytes belongs to the kernel") {
    ElfImage image{start};
    image.segments[0].p_memsz = 0x10000;
    CHECK(load(image.bytes()).end == Gpa{start + 0x10000});
}

TEST_CASE("the PVH note gives the entry point") {
    ElfImage image{start};
    image.add_pvh_note(start + 1);
    CHECK(load(image.bytes()).pvh_entry == Gpa{start + 1});
    SUBCASE("a note of somebody else before it is passed over") {
        ElfImage other{start};
        testing::append(other.notes, Elf64_Nhdr{4, 3, 1});
        other.notes += std::string("GNU\0abc\0", 8);
        other.add_pvh_note(start + 2);
        CHECK(load(other.bytes()).pvh_entry == Gpa{start + 2});
    }
    SUBCASE("notes that are cut off are as good as absent") {
        image.notes.resize(image.notes.size() - 1);
        CHECK(!load(image.bytes()).pvh_entry);
    }
    SUBCASE("sizes that wrap are not followed") {
        ElfImage wrapping{start};
        testing::append(wrapping.notes, Elf64_Nhdr{0xFFFF'FFFF, 0xFFFF'FFFF, 18});
        CHECK(!load(wrapping.bytes()).pvh_entry);
    }
    SUBCASE("an entry outside the segments is refused") {
        ElfImage outside{start};
        outside.add_pvh_note(0x10'0000);
        CHECK(is_refused_with(outside, "entry point at 0x100000"));
    }
    SUBCASE("too many notes are refused") {
        image.notes.resize(100'000, '\0');
        CHECK(is_refused_with(image, "bytes of notes"));
    }
}

TEST_CASE("files that are not there or nothing to load are refused") {
    CHECK_THROWS_WITH_AS((ImageFile{"kernel", "/no/such/file"}),
                         "kernel /no/such/file cannot be opened: No such file or directory",
                         BootError);
    CHECK_THROWS_WITH_AS((ImageFile{"kernel", "/"}), "kernel / is not a regular file", BootError);
    CHECK(refusal("").find("is empty") != std::string::npos);
}

TEST_CASE("a kernel that is cut off anywhere is refused") {
    ElfImage image{start, "some code"};
    const std::string whole = image.bytes();
    for (std::size_t size = SELFMAG; size < whole.size(); ++size) {
        CAPTURE(size);
        CHECK(!refusal(whole.substr(0, size)).empty());
    }
    CHECK(refusal(whole).empty());
}

TEST_CASE("headers that do not fit an x86-64 kernel are refused by name") {
    ElfImage image{start};
    SUBCASE("32-bit") {
        image.header.e_ident[EI_CLASS] = ELFCLASS32;
        CHECK(is_refused_with(image, "32-bit"));
    }
    SUBCASE("another machine") {
        image.header.e_machine = EM_AARCH64;
        CHECK(is_refused_with(image, "machine 183"));
    }
    SUBCASE("an object file") {
        image.header.e_type = ET_REL;
        CHECK(is_refused_with(image, "ELF type 1"));
    }
    SUBCASE("program headers of another size") {
        image.header.e_phentsize = 55;
        CHECK(is_refused_with(image, "55 bytes"));
    }
    SUBCASE("too many program headers") {
        image.header.e_phnum = 129;
        CHECK(is_refused_with(image, "129 program headers"));
    }
    SUBCASE("program headers beyond the file") {
        image.header.e_phoff = UINT64_MAX - 8;
        CHECK(is_refused_with(image, "truncated"));
    }
    SUBCASE("no segment") {
        image.segments[0].p_type = PT_NULL;
        CHECK(is_refused_with(image, "no segment"));
    }
}

TEST_CASE("segments that do not fit the guest are refused by their address") {
    ElfImage image{start};
    SUBCASE("below 1 MiB") {
        image.segments[0].p_paddr = 0x1000;
        CHECK(is_refused_with(image, "0x1000, below"));
    }
    SUBCASE("beyond RAM") {
        image.segments[0].p_paddr = 8 << 20;
        CHECK(is_refused_with(image, "outside the guest's RAM of 8 MiB"));
    }
    SUBCASE("one byte past the end of RAM") {
        image.segments[0].p_memsz = (8 << 20) - start + 1;
        CHECK(is_refused_with(image, "outside"));
    }
    SUBCASE("up to the end of RAM is taken") {
        image.segments[0].p_memsz = (8 << 20) - start;
        CHECK(refusal(image.bytes()).empty());
    }
    SUBCASE("wrapping") {
        image.segments[0].p_paddr = UINT64_MAX - 1;
        CHECK(is_refused_with(image, "outside"));
    }
    SUBCASE("in the hole below 4 GiB") {
        image.segments[0].p_paddr = abi::ram_hole_start;
        CHECK(is_refused_with(image, "outside"));
    }
    SUBCASE("more in the file than in memory") {
        image.segments[0].p_memsz = 1;
        CHECK(is_refused_with(image, "4 bytes in the file but 1 in memory"));
    }
    SUBCASE("overlapping, in whatever order") {
        image.add_segment(start - 2, 4, 4);
        CHECK(is_refused_with(image, "overlaps"));
    }
    SUBCASE("touching is not overlapping") {
        image.add_segment(start + 4, 4, 4);
        CHECK(refusal(image.bytes()).empty());
    }
    SUBCASE("the entry point outside them") {
        image.header.e_entry = start + 100;
        CHECK(is_refused_with(image, "entry point at 0x200064"));
    }
}

TEST_CASE("a note says where ready page tables may lie, beside the kernel's segments") {
    constexpr std::uint64_t tables = start + 0x100000;
    ElfImage image{start, std::string(abi::page_size, 'c')};
    CHECK(!load(image.bytes()).ready_tables);
    SUBCASE("a sound one") {
        image.add_ready_tables_note({tables, 0x10000, start + 8});
        const auto kernel = load(image.bytes());
        REQUIRE(kernel.ready_tables);
        CHECK(kernel.ready_tables->start == Gpa{tables});
        CHECK(kernel.ready_tables->most_bytes == 0x10000);
        CHECK(kernel.ready_tables->end_at == Gpa{start + 8});
    }
    SUBCASE("over the kernel") {
        image.add_ready_tables_note({start - abi::page_size, 0x10000, start + 8});
        CHECK(is_refused_with(image, "ready page tables at"));
    }
    SUBCASE("not at a page") {
        image.add_ready_tables_note({tables + 8, 0x10000, start + 8});
        CHECK(is_refused_with(image, "ready page tables at"));
    }
    SUBCASE("wrapping") {
        image.add_ready_tables_note({tables, ~0ULL - tables + 1, start + 8});
        CHECK(is_refused_with(image, "ready page tables at"));
    }
    SUBCASE("their end outside the segments") {
        image.add_ready_tables_note({tables, 0x10000, start + abi::page_size - 4});
        CHECK(is_refused_with(image, "the end of ready page tables at"));
    }
}

TEST_CASE("a note says where other CPUs start, on tables that are the kernel's own") {
    constexpr std::uint64_t entry = 0x7F80'0000'0000 + start;
    ElfImage image{start, std::string(2 * abi::page_size, 'x')};
    CHECK(!load(image.bytes()).other_cpus);
    image.add_pvh_note(start);
    SUBCASE("beside the one for the first CPU") {
        image.add_cpus_note(entry, start + abi::page_size, start + 8);
        const ElfKernel kernel = load(image.bytes());
        REQUIRE(kernel.other_cpus);
        CHECK(kernel.pvh_entry == Gpa{start});
        CHECK(kernel.other_cpus->entry == entry);
        CHECK(kernel.other_cpus->page_tables == Gpa{start + abi::page_size});
        CHECK(kernel.other_cpus->count == Gpa{start + 8});
    }
    SUBCASE("tables that are no whole page of a segment") {
        image.add_cpus_note(entry, start + 2 * abi::page_size, start);
        CHECK(is_refused_with(image, "page tables for other CPUs at 0x202000"));
    }
    SUBCASE("tables that are not aligned") {
        image.add_cpus_note(entry, start + 8, start);
        CHECK(is_refused_with(image, "0x200008"));
    }
    SUBCASE("tables whose address wraps") {
        image.add_cpus_note(entry, ~std::uint64_t{abi::page_size - 1}, start);
        CHECK(is_refused_with(image, "0xfffffffffffff000"));
    }
    SUBCASE("a number that would lie across a segment's end") {
        image.add_cpus_note(entry, start, start + 2 * abi::page_size - 3);
        CHECK(is_refused_with(image, "number of CPUs at 0x201ffd"));
    }
    SUBCASE("a note of another size is another note") {
        image.add_cpus_note(entry, start, start);
        image.notes[image.notes.size() - 32 - 8] = 16;
        CHECK(!load(image.bytes()).other_cpus);
    }
}

}  // namespace
}  // namespace shoal::boot
