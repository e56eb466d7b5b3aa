// The bzImage loader on sound and hostile images.
#include "vmm/boot/bzimage.h"

#include <doctest/doctest.h>

#include <cstddef>

#include "devices/abi/address_map.h"
#include "tests/unit/vmm/boot/image_builder.h"

namespace shoal::boot {
namespace {

using machine::Gpa;
using machine::GuestMemory;
using testing::MemoryFile;

// Setup sectors and 2 KiB of kernel, as small as they come.
struct Image {
    setup_header header{};
    std::size_t kernel_bytes = 2048;

    Image() {
        header.setup_sects = 1;
        header.syssize = 2048 / 16;
        header.boot_flag = 0xAA55;
        header.jump = 0x66EB;  // the header ends at 0x202 + 0x66
        header.header = 0x5372'6448;
        header.version = 0x020F;
        header.loadflags = LOADED_HIGH;
        header.xloadflags = XLF_KERNEL_64;
        header.relocatable_kernel = 1;
        header.pref_address = 0x20'0000;
        header.init_size = 0x8000;
        header.initrd_addr_max = 0x7FFF'FFFF;
    }
    [[nodiscard]] std::string bytes() const {
        std::string result(0x1F1, '\0');
        testing::append(result, header);
        result.resize(1024, '\0');
        return result + std::string(kernel_bytes, 'k');
    }
};

std::string refusal(const std::string& bytes) {
    const MemoryFile file{bytes};
    const GuestMemory memory{8 << 20};
    try {
        static_cast<void>(load_bzimage(memory, ImageFile{"kernel", file.path()}));
        return {};
    } catch (const BootError& error) {
        return error.what();
    }
}

bool is_refused_with(const Image& image, const std::string& words) {
    const std::string sentence = refusal(image.bytes());
    INFO(sentence);
    return sentence.find(words) != std::string::npos;
}

TEST_CASE("a bzImage's kernel is copied to where it prefers to be") {
    const MemoryFile file{Image{}.bytes()};
    const ImageFile opened{"kernel", file.path()};
    CHECK(is_bzimage(opened));
    const GuestMemory memory{8 << 20};
    const BzImage image = load_bzimage(memory, opened);
    CHECK(image.entry == Gpa{0x20'0200});
    CHECK(image.end == Gpa{0x20'8000});
    CHECK(image.initrd_end == 0x8000'0000);
    CHECK(*memory.read<std::uint8_t>(Gpa{0x20'0000}) == 'k');
    CHECK(*memory.read<std::uint8_t>(Gpa{0x20'0000 + 2047}) == 'k');
    CHECK(*memory.read<std::uint8_t>(Gpa{0x20'0000 + 2048}) == 0);
}

TEST_CASE("a relocatable kernel without a preference goes to 1 MiB") {
    Image image;
    image.header.pref_address = 0;
    const MemoryFile file{image.bytes()};
    const GuestMemory memory{8 << 20};
    CHECK(load_bzimage(memory, ImageFile{"kernel", file.path()}).entry ==
          Gpa{abi::kernel_start + 0x200});
}

TEST_CASE("bzImages that cannot be started are refused by name") {
    Image image;
    SUBCASE("an old boot protocol") {
        image.header.version = 0x020B;
        CHECK(is_refused_with(image, "boot protocol 0x20b"));
    }
    SUBCASE("no 64-bit entry") {
        image.header.xloadflags = 0;
        CHECK(is_refused_with(image, "64-bit entry"));
    }
    SUBCASE("a zImage") {
        image.header.loadflags = 0;
        CHECK(is_refused_with(image, "below 1 MiB"));
    }
    SUBCASE("outside RAM") {
        image.header.pref_address = 8 << 20;
        CHECK(is_refused_with(image, "outside the guest's RAM of 8 MiB"));
    }
    SUBCASE("wrapping") {
        image.header.pref_address = UINT64_MAX - 100;
        CHECK(is_refused_with(image, "outside"));
    }
    SUBCASE("below 1 MiB") {
        image.header.pref_address = 0x1000;
        CHECK(is_refused_with(image, "outside"));
    }
    SUBCASE("more room for decompression than there is") {
        image.header.init_size = 0xFFFF'FFFF;
        CHECK(is_refused_with(image, "4294967295 bytes"));
    }
    SUBCASE("setup sectors beyond the file") {
        image.header.setup_sects = 255;
        CHECK(is_refused_with(image, "truncated"));
    }
    SUBCASE("a kernel that ends before its entry point") {
        image.kernel_bytes = 0x200;
        CHECK(is_refused_with(image, "truncated"));
    }
    SUBCASE("a kernel that is cut off") {
        image.kernel_bytes -= 16;
        CHECK(is_refused_with(image, "truncated: its kernel has 2032 bytes of 2048"));
    }
    SUBCASE("a size in paragraphs that overflows 32 bits as bytes") {
        image.header.syssize = 0xFFFF'FFFF;
        CHECK(is_refused_with(image, "2048 bytes of 68719476720"));
    }
}

TEST_CASE("a bzImage that is cut off in its header is refused") {
    const std::string whole = Image{}.bytes();
    for (std::size_t size = 1; size < 0x268; ++size) {
        CAPTURE(size);
        CHECK(!refusal(whole.substr(0, size)).empty());
    }
}

TEST_CASE("what has no magic number is no bzImage") {
    std::string bytes = Image{}.bytes();
    bytes[0x202] = 'X';
    const MemoryFile file{bytes};
    CHECK(!is_bzimage(ImageFile{"kernel", file.path()}));
    const MemoryFile tiny{"MZ"};
    CHECK(!is_bzimage(ImageFile{"kernel", tiny.path()}));
}

}  // namespace
}  // namespace shoal::boot
