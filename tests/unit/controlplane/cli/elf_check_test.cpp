// Which files `shoal run` takes for programs.
#include "controlplane/cli/elf_check.h"

#include <doctest/doctest.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <span>

#include "controlplane/cli/cli_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::cli {
namespace {

struct Image {
    Elf64_Ehdr header{};
    Elf64_Phdr segments[2]{};
    char interpreter[16] = "/lib/ld.so";

    Image() {
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_machine = EM_X86_64;
        header.e_type = ET_EXEC;
        header.e_phoff = sizeof header;
        header.e_phentsize = sizeof(Elf64_Phdr);
        header.e_phnum = 2;
        segments[0].p_type = PT_LOAD;
    }
};

void check(const Image& image, std::size_t size = sizeof(Image)) {
    const host::UniqueFd fd{::memfd_create("test", MFD_CLOEXEC)};
    REQUIRE(::write(fd.get(), &image, size) == static_cast<ssize_t>(size));
    check_static_program(fd.get(), "prog");
}

std::string why_not(const Image& image, std::size_t size = sizeof(Image)) {
    try {
        check(image, size);
    } catch (const CliError& error) {
        CHECK(error.exit_code() == ExitCode::not_executable);
        return error.what();
    }
    return "";
}

TEST_CASE("static programs are taken, fixed or position-independent") {
    Image image;
    CHECK(why_not(image).empty());
    image.header.e_type = ET_DYN;
    CHECK(why_not(image).empty());
}

TEST_CASE("a program that asks for a dynamic linker is refused, with the linker's name") {
    Image image;
    image.segments[1].p_type = PT_INTERP;
    image.segments[1].p_offset = offsetof(Image, interpreter);
    image.segments[1].p_filesz = sizeof image.interpreter;
    CHECK(why_not(image).find("/lib/ld.so") != std::string::npos);
    SUBCASE("whose name lies beyond the file") {
        image.segments[1].p_offset = ~0ULL;
        CHECK(why_not(image).find("dynamically linked") != std::string::npos);
    }
    SUBCASE("whose name is absurdly long") {
        image.segments[1].p_filesz = ~0ULL;
        CHECK(why_not(image).find("dynamically linked") != std::string::npos);
    }
}

TEST_CASE("files that are no programs are refused") {
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
    CHECK_FALSE(why_not(image).empty());
}

TEST_CASE("a file cut off anywhere in its headers is refused") {
    const Image image;
    for (std::size_t size = 0; size < offsetof(Image, interpreter); size += 7) {
        CHECK_FALSE(why_not(image, size).empty());
    }
}

}  // namespace
}  // namespace shoal::cli
