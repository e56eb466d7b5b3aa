// skopeo copies, umoci unpacks, mkfs.erofs packs; shoal-vmm looks at kernels.
#include "controlplane/image/image_build.h"

#include <sys/stat.h>

#include <array>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "controlplane/content/copy_file.h"
#include "controlplane/image/image_folder.h"
#include "controlplane/image/image_source.h"
#include "controlplane/image/oci_layout.h"
#include "devices/host/durable.h"
#include "devices/host/file_size.h"

namespace shoal::images {
namespace {

struct stat status_of(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) < 0) {
        host::throw_os_error("cannot open " + path);
    }
    return status;
}

// The superblock (erofs_fs.h of Linux): the magic number, and at 12 the logarithm of the block
// size.
void expect_erofs(const std::string& path) {
    constexpr std::streamoff superblock = 1024;
    constexpr std::array<unsigned char, 4> magic{0xE2, 0xE1, 0xF5, 0xE0};
    constexpr std::size_t block_size_at = 12;
    constexpr unsigned char blocks_of_4k = 12;
    std::array<unsigned char, 16> bytes{};
    std::ifstream file{path, std::ios::binary};
    file.seekg(superblock);
    // SAFETY: bytes seen as chars.
    file.read(reinterpret_cast<char*>(bytes.data()), bytes.size());
    if (!file || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0 ||
        bytes[block_size_at] != blocks_of_4k) {
        throw std::runtime_error{"it is no EROFS file system with blocks of 4096 bytes"};
    }
}

// By a process of its own, which may fall over what strangers made. Its sentence is about the copy.
void expect_kernel(const std::string& path, const std::string& vmm, const Guard& guard) {
    const std::string copy = file_in(guard.folder);
    try {
        run_guarded({vmm, "--check-kernel", copy}, guard);
    } catch (const std::runtime_error& error) {
        std::string sentence = error.what();
        if (const std::size_t at = sentence.find(copy); at != std::string::npos) {
            sentence.replace(0, at + copy.size(), path);
        }
        throw std::runtime_error{sentence};
    }
}

// A file of the host, as it is.
void copy_file(const std::string& path, model::ImageKind kind, const Guard& guard) {
    const struct stat status = status_of(path);
    if (!S_ISREG(status.st_mode)) {
        throw std::runtime_error{path + " is no file"};
    }
    if (status.st_size == 0) {
        throw std::runtime_error{path + " is empty"};
    }
    if (static_cast<std::uint64_t>(status.st_size) > guard.limits.bytes) {
        throw std::runtime_error{path + " has more than " + std::to_string(guard.limits.bytes) +
                                 " bytes"};
    }
    if (kind == model::ImageKind::root) {
        expect_erofs(path);
    }
    content::copy_file(path, file_in(guard.folder));
}

model::Image unpack(const std::string& from, const Guard& guard) {
    const std::string layout = guard.folder + "/layout";
    const std::string bundle = guard.folder + "/bundle";
    run_guarded({"/usr/bin/skopeo", "--tmpdir", guard.folder, "copy", "--quiet", from,
                 "oci:" + layout + ":image"},
                guard);
    model::Image image = read_defaults(layout);
    run_guarded({"/usr/bin/umoci", "unpack", "--image", layout + ":image", bundle}, guard);
    host::delete_all(layout);
    // Without a time and an identity of its own; files keep their times. Its own attributes are
    // Linux' alone.
    run_guarded(
        {"/usr/bin/env", "SOURCE_DATE_EPOCH=4102444800", "mkfs.erofs", "--quiet", "-x-1", "-U",
         "00000000-0000-0000-0000-000000000000", file_in(guard.folder), bundle + "/rootfs"},
        guard);
    host::delete_all(bundle);
    return image;
}

}  // namespace

model::Image build_image(const model::ImageSpec& spec, const std::string& vmm, const Guard& guard) {
    model::Image image;
    const model::ImageKind kind = kind_of(spec.from);
    const std::string path = file_path(spec.from);
    if (!path.empty()) {
        copy_file(path, kind, guard);
    } else {
        image = unpack(spec.from, guard);
    }
    const std::string file = file_in(guard.folder);
    image.kind = kind;
    if (kind == model::ImageKind::root) {
        expect_erofs(file);
    } else if (kind == model::ImageKind::kernel) {
        expect_kernel(path, vmm, guard);
        image.cmdline = spec.cmdline.empty() ? model::default_cmdline : spec.cmdline;
    }
    image.name = spec.name;
    image.from = spec.from;
    image.size_bytes = host::allocated_bytes(file);
    return image;
}

}  // namespace shoal::images
