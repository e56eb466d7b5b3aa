// skopeo copies, umoci unpacks, mkfs.erofs packs.
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

// A file of the host, as it is.
void copy_root(const std::string& path, const Guard& guard) {
    const struct stat status = status_of(path);
    if (!S_ISREG(status.st_mode)) {
        throw std::runtime_error{path + " is no file"};
    }
    if (static_cast<std::uint64_t>(status.st_size) > guard.limits.bytes) {
        throw std::runtime_error{path + " has more than " + std::to_string(guard.limits.bytes) +
                                 " bytes"};
    }
    expect_erofs(path);
    content::copy_file(path, root_in(guard.folder));
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
         "00000000-0000-0000-0000-000000000000", root_in(guard.folder), bundle + "/rootfs"},
        guard);
    host::delete_all(bundle);
    return image;
}

}  // namespace

model::Image build_image(const std::string& from, const Guard& guard) {
    model::Image image;
    if (const std::string path = erofs_path(from); !path.empty()) {
        copy_root(path, guard);
    } else {
        image = unpack(from, guard);
    }
    const std::string root = root_in(guard.folder);
    expect_erofs(root);
    image.from = from;
    image.size_bytes = host::allocated_bytes(root);
    return image;
}

}  // namespace shoal::images
