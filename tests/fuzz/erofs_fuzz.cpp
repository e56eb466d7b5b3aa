// Fuzzes EROFS images: mounting them, reading all that is there, and changing it.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "tests/unit/guest/kernel/fs/erofs_mount.h"
#include "tests/unit/guest/kernel/fs/fake_kernel.cpp"
#include "tests/unit/guest/kernel/sched/fake_scheduler.cpp"

namespace {

using namespace shoal::guest;

struct FirstNames final : DirectoryVisitor {
    Answer visit(const DirectoryItem& item) override {
        all.emplace_back(item.name);
        return all.size() < 16 ? Answer::more : Answer::stop;
    }
    std::vector<std::string> all;
};

void use_file(Inode& inode) {
    std::array<std::byte, 5000> room;
    static_cast<void>(inode.read_at(0, room));
    static_cast<void>(inode.read_at(inode.size() / 2, room));
    static_cast<void>(inode.page_for_read(0));
    static_cast<void>(inode.page_for_read(inode.size() / 4096 - 1));
    static_cast<void>(inode.reserve(inode.size() / 2, 1));
    static_cast<void>(inode.resize(inode.size() / 2 + 1));
    static_cast<void>(inode.read_at(0, room));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::byte> image(size);
    std::copy_n(reinterpret_cast<const std::byte*>(data), size, image.begin());
    if (size > erofs::superblock_offset + sizeof(erofs::Superblock)) {
        image[erofs::superblock_offset + 8] = std::byte{0};  // no checksum to stumble over
    }
    fake::pages_left = 1000;
    fake::ErofsMount mount{std::move(image)};
    std::vector<EntryRef> rest;
    if (mount.error == nullptr) {
        rest.emplace_back(&mount.files.root());
    }
    for (int count = 0; !rest.empty() && count < 64; ++count) {
        const EntryRef entry = rest.back();
        rest.pop_back();
        Directory* directory = entry->inode().as_directory();
        if (directory == nullptr) {
            use_file(entry->inode());
            continue;
        }
        static_cast<void>(directory->find(*entry, "file"));
        static_cast<void>(directory->complete(*entry));
        FirstNames names;
        directory->list(0, names);
        for (const std::string& name : names.all) {
            const auto place = mount.files.walk(*entry, name, FollowLast::never);
            if (place && place->entry && name.size() % 3 != 0) {
                rest.push_back(place->entry);
            } else if (place) {
                static_cast<void>(mount.files.unlink(*place));
            }
        }
    }
    return 0;
}
