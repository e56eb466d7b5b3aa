// Kernels and initramfs: files as they are, of which somebody else looks at the kernels.
#include "controlplane/image/image_build.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "controlplane/image/image_folder.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::images::test {
namespace {

namespace fs = std::filesystem;

std::string text_of(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

// With a program that takes for a kernel what begins with "kernel".
struct Rig {
    Rig() {
        fs::create_directory(folder);
        std::ofstream{vmm} << "#!/bin/sh\n"
                              "[ \"$1\" = --check-kernel ] || exit 2\n"
                              "grep -q ^kernel \"$2\" && exit\n"
                              "echo \"shoal-vmm: kernel $2 is no kernel\"; exit 1\n";
        fs::permissions(vmm, fs::perms::owner_all);
    }
    std::string file(const std::string& content) {
        const std::string path = scratch.file("source");
        std::ofstream{path} << content;
        return path;
    }
    model::Image build(const std::string& from, const std::string& cmdline = "") {
        return build_image({"i", from, cmdline}, vmm, {folder, limits, {}});
    }

    store::test::ScratchFolder scratch;
    std::string folder = scratch.file("partial");
    std::string vmm = scratch.file("vmm");
    Limits limits;
};

}  // namespace

TEST_CASE("a kernel is its file, and has a command line") {
    Rig rig;
    const std::string from = "kernel:" + rig.file("kernel 6.1");
    const model::Image image = rig.build(from);
    CHECK(image.name == "i");
    CHECK(image.from == from);
    CHECK(image.kind == model::ImageKind::kernel);
    CHECK(image.cmdline == model::default_cmdline);
    CHECK(image.size_bytes > 0);
    CHECK(text_of(file_in(rig.folder)) == "kernel 6.1");
    fs::remove(file_in(rig.folder));
    CHECK(rig.build(from, "quiet").cmdline == "quiet");
}

TEST_CASE(
    "what is no kernel is refused with the sentence of who looked, about the file as it was said") {
    Rig rig;
    const std::string path = rig.file("text");
    CHECK_THROWS_WITH_AS(static_cast<void>(rig.build("kernel:" + path)),
                         (path + " is no kernel").c_str(), std::runtime_error);
}

TEST_CASE("an initramfs is its file, whatever is in it, and has no command line") {
    Rig rig;
    const model::Image image = rig.build("initramfs:" + rig.file("anything"));
    CHECK(image.kind == model::ImageKind::initramfs);
    CHECK(image.cmdline.empty());
    CHECK(text_of(file_in(rig.folder)) == "anything");
}

TEST_CASE("of a file that is absent, empty, no file or too large nothing is made") {
    Rig rig;
    const auto refuses = [&](const std::string& path, const std::string& why) {
        for (const std::string transport : {"kernel:", "initramfs:"}) {
            CHECK_THROWS_WITH(static_cast<void>(rig.build(transport + path)),
                              doctest::Contains(why.c_str()));
        }
    };
    refuses(rig.scratch.file("absent"), "cannot open ");
    refuses(rig.file(""), "source is empty");
    refuses(rig.folder, "partial is no file");
    rig.limits.bytes = 5;
    refuses(rig.file("kernel"), "source has more than 5 bytes");
    CHECK(fs::is_empty(rig.folder));
}

}  // namespace shoal::images::test
