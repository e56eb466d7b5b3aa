// What `shoal run` reads from ELF files, and which it refuses.
#include "controlplane/cli/elf_file.h"

#include <doctest/doctest.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <span>

#include "devices/host/unique_fd.h"

namespace shoal::cli {
namespace {

constexpr std::uint64_t load_address = 0x400000;

// A program as a linker would make it, with all that is looked at.
struct Image {
    Elf64_Ehdr header{};
    Elf64_Phdr segments[3]{};
    Elf64_Dyn entries[7]{};
    char interpreter[16] = "/lib/ld.so";
    char strings[40] = "\0libone.so\0libtwo.so.2\0$ORIGIN/lib\0";

    Image() {
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_machine = EM_X86_64;
        header.e_type = ET_EXEC;
        header.e_phoff = offsetof(Image, segments);
        header.e_phentsize = sizeof(Elf64_Phdr);
        header.e_phnum = 3;
        segments[0].p_type = PT_LOAD;
        segments[0].p_vaddr = load_address;
        segments[0].p_filesz = sizeof(Image);
        segments[1].p_type = PT_INTERP;
        segments[1].p_offset = offsetof(Image, interpreter);
        segments[1].p_filesz = sizeof interpreter;
        segments[2].p_type = PT_DYNAMIC;
        segments[2].p_offset = offsetof(Image, entries);
        segments[2].p_filesz = sizeof entries;
        set(0, DT_NEEDED, 1);
        set(1, DT_NEEDED, 11);
        set(2, DT_RUNPATH, 23);
        set(3, DT_STRTAB, load_address + offsetof(Image, strings));
        set(4, DT_STRSZ, sizeof strings);
        set(5, DT_NULL, 0);
        set(6, DT_NEEDED, 1);  // behind the end
    }
    void set(std::size_t idx, std::int64_t tag, std::uint64_t value) {
        entries[idx].d_tag = tag;
        entries[idx].d_un.d_val = value;
    }
};

ElfFile read(const Image& image, std::size_t size = sizeof(Image)) {
    const host::UniqueFd fd{::memfd_create("test", MFD_CLOEXEC)};
    REQUIRE(::write(fd.get(), &image, size) == static_cast<ssize_t>(size));
    return read_elf_file(fd.get());
}

TEST_CASE("the interpreter, the needed libraries and where they are searched are read") {
    Image image;
    SUBCASE("of a fixed program") {}
    SUBCASE("of a position-independent one") {
        image.header.e_type = ET_DYN;
    }
    const auto file = read(image);
    CHECK(file.interpreter == "/lib/ld.so");
    CHECK(file.needed == std::vector<std::string>{"libone.so", "libtwo.so.2"});
    CHECK(file.runpath == "$ORIGIN/lib");
    CHECK(file.rpath.empty());
}

TEST_CASE("a static program needs nothing") {
    Image image;
    image.header.e_phnum = 1;
    const auto file = read(image);
    CHECK(file.interpreter.empty());
    CHECK(file.needed.empty());
}

TEST_CASE("ELF files that are no x86-64 programs, or damaged, are refused") {
    Image image;
    SUBCASE("another magic number") {
        image.header.e_ident[0] = 'x';
    }
    SUBCASE("32 bits") {
        image.header.e_ident[EI_CLASS] = ELFCLASS32;
    }
    SUBCASE("another machine") {
        image.header.e_machine = EM_AARCH64;
    }
    SUBCASE("an object file") {
        image.header.e_type = ET_REL;
    }
    SUBCASE("headers of another size") {
        image.header.e_phentsize = 32;
    }
    SUBCASE("too many headers") {
        image.header.e_phnum = 129;
    }
    SUBCASE("headers beyond the file") {
        image.header.e_phoff = sizeof image;
    }
    SUBCASE("headers at an offset that wraps") {
        image.header.e_phoff = ~0ULL - 16;
    }
    SUBCASE("an interpreter beyond the file") {
        image.segments[1].p_offset = ~0ULL;
    }
    SUBCASE("an interpreter without an end") {
        image.segments[1].p_filesz = 4;
    }
    SUBCASE("an empty interpreter") {
        image.interpreter[0] = '\0';
    }
    SUBCASE("a dynamic section beyond the file") {
        image.segments[2].p_offset = ~0ULL - 8;
    }
    SUBCASE("a dynamic section that is too large") {
        image.segments[2].p_filesz = ~0ULL;
    }
    SUBCASE("a string table in no segment") {
        image.set(3, DT_STRTAB, 0);
    }
    SUBCASE("a string table whose offset wraps") {
        image.segments[0].p_offset = ~0ULL;
    }
    SUBCASE("no string table") {
        image.set(4, DT_NULL, 0);
    }
    SUBCASE("a name behind the string table") {
        image.set(0, DT_NEEDED, sizeof image.strings);
    }
    SUBCASE("a name that would wrap") {
        image.set(0, DT_NEEDED, ~0ULL);
    }
    SUBCASE("a name without an end") {
        std::memset(image.strings, 'x', sizeof image.strings);
    }
    CHECK_THROWS_AS(read(image), ElfError);
}

TEST_CASE("a file cut off anywhere before its strings is refused") {
    const Image image;
    for (std::size_t size = 0; size < offsetof(Image, strings); size += 7) {
        CHECK_THROWS_AS(read(image, size), ElfError);
    }
}

}  // namespace
}  // namespace shoal::cli
