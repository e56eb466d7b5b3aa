// EROFS: images made by mkfs.erofs against the trees they were made from, and damaged ones.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "tests/unit/guest/kernel/fs/erofs_mount.h"

namespace shoal::guest {
namespace {

namespace host = std::filesystem;
using fake::ErofsMount;

std::string noise(std::size_t size) {
    std::mt19937 random{static_cast<std::uint32_t>(size)};
    std::string text(size, '\0');
    for (char& c : text) {
        c = static_cast<char>(random());
    }
    return text;
}

// A folder of the host that goes away with its content.
class HostTree {
public:
    HostTree() {
        std::string name = (host::temp_directory_path() / "erofs-test-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        top_ = name;
        host::create_directories(root());
    }
    ~HostTree() { host::remove_all(top_); }
    HostTree(const HostTree&) = delete;
    HostTree& operator=(const HostTree&) = delete;

    [[nodiscard]] host::path root() const { return top_ / "root"; }
    void file(const std::string& path, const std::string& content) const {
        host::create_directories((root() / path).parent_path());
        std::ofstream{root() / path, std::ios::binary} << content;
    }
    [[nodiscard]] std::vector<std::byte> image(const std::string& options = "") const {
        const auto path = top_ / "image";
        host::remove(path);
        const std::string command = "mkfs.erofs --quiet " + options + " " + path.string() + " " +
                                    root().string() + " > /dev/null 2>&1";
        REQUIRE(std::system(command.c_str()) == 0);  // NOLINT(cert-env33-c)
        std::ifstream in{path, std::ios::binary};
        const std::string text{std::istreambuf_iterator<char>{in}, {}};
        const auto bytes = std::as_bytes(std::span{text});
        return {bytes.begin(), bytes.end()};
    }

private:
    host::path top_;
};

void fill(const HostTree& tree) {
    for (const std::size_t size :
         {0UZ, 1UZ, 100UZ, 4000UZ, 4095UZ, 4096UZ, 4097UZ, 8192UZ, 70'000UZ, 1'000'000UZ}) {
        tree.file("sizes/" + std::to_string(size), noise(size));
    }
    for (int i = 0; i < 600; ++i) {
        tree.file("many/a rather long name, number " + std::to_string(i), std::to_string(i));
    }
    tree.file("deep/er/and/deeper/file", "x");
    tree.file("mode", "x");
    ::chmod((tree.root() / "mode").c_str(), 04751);
    host::create_symlink("deep/er", tree.root() / "link");
    host::create_symlink(std::string(3000, 'l'), tree.root() / "long-link");
    host::create_hard_link(tree.root() / "mode", tree.root() / "deep" / "mode-too");
    REQUIRE(::mkfifo((tree.root() / "fifo").c_str(), 0600) == 0);
    std::ofstream sparse{tree.root() / "sparse", std::ios::binary};
    sparse.seekp(300'000);
    sparse << "end";
}

std::string slurp(const host::path& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

void expect_same(const ErofsMount& mount, const host::path& root) {
    std::size_t count = 0;
    for (const auto& item : host::recursive_directory_iterator{root}) {
        const std::string path = item.path().lexically_relative(root).string();
        CAPTURE(path);
        const auto entry = mount.files.find(mount.files.root(), path, FollowLast::no);
        REQUIRE(entry);
        const Inode& inode = (*entry)->inode();
        struct stat status {};
        REQUIRE(::lstat(item.path().c_str(), &status) == 0);
        CHECK(inode.mode() == status.st_mode);
        CHECK(inode.attributes.uid == status.st_uid);
        if (item.is_symlink()) {
            CHECK(inode.link_target() == host::read_symlink(item.path()).string());
        } else if (item.is_regular_file()) {
            CHECK(inode.attributes.link_count == status.st_nlink);
            REQUIRE(fake::content_of(inode) == slurp(item.path()));
        } else if (item.is_directory()) {
            CHECK(inode.attributes.link_count == status.st_nlink);
        }
        ++count;
    }
    CHECK(count > 10);
}

std::set<std::string> names_of(const ErofsMount& mount, const std::string& path) {
    const auto entry = mount.files.find(path);
    REQUIRE(entry);
    REQUIRE((*entry)->inode().as_directory()->complete(**entry));
    struct Names final : DirectoryVisitor {
        Answer visit(const DirectoryItem& item) override {
            all.emplace(item.name);
            return Answer::more;
        }
        std::set<std::string> all;
    } names;
    (*entry)->inode().as_directory()->list(0, names);
    return names.all;
}

// Completes, opens and reads all there is, up to a bound.
void use_all(ErofsMount& mount) {
    std::vector<EntryRef> rest{EntryRef{&mount.files.root()}};
    for (int count = 0; !rest.empty() && count < 2000; ++count) {
        const EntryRef entry = rest.back();
        rest.pop_back();
        Inode& inode = entry->inode();
        std::array<std::byte, 5000> room;
        static_cast<void>(inode.read_at(0, room));
        static_cast<void>(inode.read_at(inode.size() / 2, room));
        static_cast<void>(inode.page_for_read(0));
        Directory* directory = inode.as_directory();
        if (directory == nullptr) {
            continue;
        }
        static_cast<void>(directory->find(*entry, "deeper"));
        static_cast<void>(directory->complete(*entry));
        struct Names final : DirectoryVisitor {
            Answer visit(const DirectoryItem& item) override {
                all.emplace_back(item.name);
                return all.size() < 100 ? Answer::more : Answer::stop;
            }
            std::vector<std::string> all;
        } names;
        directory->list(0, names);
        for (const std::string& name : names.all) {
            if (const auto found = directory->find(*entry, name)) {
                rest.push_back(*found);
            }
        }
    }
}

TEST_CASE("images of mkfs.erofs hold what the folder held") {
    const HostTree tree;
    fill(tree);
    for (const char* options :
         {"", "-Eforce-inode-extended", "-Eforce-inode-compact --ignore-mtime", "-Enoinline_data",
          "-Enoinline_data -Eforce-inode-extended", "--chunksize=4096", "--chunksize=65536",
          "--chunksize=4096 -Eforce-inode-blockmap"}) {
        CAPTURE(options);
        ErofsMount mount{tree.image(options)};
        REQUIRE(mount.error == nullptr);
        expect_same(mount, tree.root());
        std::set<std::string> expected;
        for (const auto& item : host::directory_iterator{tree.root() / "many"}) {
            expected.insert(item.path().filename().string());
        }
        CHECK(names_of(mount, "/many") == expected);
        CHECK(mount.files.find("/many/none").error() == Errno::noent);
    }
}

TEST_CASE("a file of a large image is read without the others") {
    const HostTree tree;
    fill(tree);
    ErofsMount mount{tree.image()};
    CHECK(fake::content_of(mount.files, "/deep/er/and/deeper/file") == "x");
    CHECK(mount.disk.touched.size() < 12);
}

TEST_CASE("whole pages of an image's file may be mapped for ever until they are written") {
    const HostTree tree;
    tree.file("file", noise(10'000));
    ErofsMount mount{tree.image()};
    Inode& inode = (*mount.files.find("/file"))->inode();
    const void* page = inode.page_for_read(1);
    REQUIRE(page != nullptr);
    CHECK(std::memcmp(page, noise(10'000).data() + 4096, 4096) == 0);
    CHECK(inode.page_for_read(1) == page);
    CHECK(inode.page_for_read(2) == nullptr);
    fake::put_file(mount.files, "/file", "short");
    CHECK(inode.page_for_read(1) == nullptr);
    CHECK(std::memcmp(page, noise(10'000).data() + 4096, 4096) == 0);
}

TEST_CASE("writes go to memory, page by page, for all names of a file") {
    const HostTree tree;
    tree.file("file", noise(100'000));
    host::create_hard_link(tree.root() / "file", tree.root() / "too");
    const std::vector<std::byte> image = tree.image();
    ErofsMount mount{image};
    const auto entry = mount.files.find("/file");
    const auto file = OpenFile::open(*entry, open_flags::read_write);
    const std::string text = "written";
    SpanSource source{std::as_bytes(std::span{text})};
    const std::size_t before = fake::pages_in_use;
    REQUIRE((*entry)->inode().write(**file, 50'000, source, text.size()));
    CHECK(fake::pages_in_use - before <= 6);
    std::string expected = noise(100'000);
    expected.replace(50'000, text.size(), text);
    CHECK(fake::content_of(mount.files, "/too") == expected);

    REQUIRE((*entry)->inode().resize(60'000));
    REQUIRE((*entry)->inode().resize(70'000));
    CHECK(fake::content_of(mount.files, "/file") ==
          expected.substr(0, 60'000) + std::string(10'000, '\0'));
    CHECK(mount.disk.bytes == image);
}

TEST_CASE("names of the image are removed, renamed, replaced and linked as any others") {
    const HostTree tree;
    tree.file("a/one", "1");
    tree.file("a/two", "2");
    tree.file("b/three", "3");
    tree.file("b/sub/four", "4");
    ErofsMount mount{tree.image()};
    FileSystem& files = mount.files;
    const auto place = [&](const char* path) {
        return *files.walk(files.root(), path, FollowLast::never);
    };
    REQUIRE(files.unlink(place("/a/one")));
    CHECK(files.find("/a/one").error() == Errno::noent);
    CHECK(names_of(mount, "/a") == std::set<std::string>{"two"});
    CHECK(files.remove_directory(place("/b")).error() == Errno::notempty);
    fake::put_file(files, "/a/one", "new");
    CHECK(fake::content_of(files, "/a/one") == "new");

    REQUIRE(files.rename(place("/b"), place("/c"), RenameMode::replace));
    CHECK(files.find("/b").error() == Errno::noent);
    CHECK(fake::content_of(files, "/c/sub/four") == "4");
    REQUIRE(files.rename(place("/c/three"), place("/a/two"), RenameMode::replace));
    CHECK(fake::content_of(files, "/a/two") == "3");
    CHECK(names_of(mount, "/c") == std::set<std::string>{"sub"});

    REQUIRE(files.link((*files.find("/c/sub/four"))->inode(), place("/a/linked")));
    fake::put_file(files, "/a/linked", "both");
    CHECK(fake::content_of(files, "/c/sub/four") == "both");
    REQUIRE(files.unlink(place("/c/sub/four")));
    REQUIRE(files.remove_directory(place("/c/sub")));
    REQUIRE(files.remove_directory(place("/c")));
    files.remove_tree("/a");
    CHECK(names_of(mount, "/").empty());
}

TEST_CASE("an image that cannot be mounted says why") {
    const HostTree tree;
    tree.file("file", noise(20'000));
    std::vector<std::byte> image = tree.image();
    constexpr std::size_t super = erofs::superblock_offset;
    const auto error_of = [](const std::vector<std::byte>& bytes) {
        return std::string_view{ErofsMount{bytes}.error};
    };
    SUBCASE("truncated") {
        image.resize(image.size() - 4096);
        CHECK(error_of(image) == "it is truncated");
    }
    SUBCASE("empty") {
        CHECK(error_of({}) == "the disk is too small");
    }
    SUBCASE("zeros") {
        CHECK(error_of(std::vector<std::byte>(65536)) == "it is no EROFS image");
    }
    SUBCASE("damaged") {
        image[super + 50] ^= std::byte{1};
        CHECK(error_of(image) == "its superblock is damaged");
    }
    SUBCASE("other blocks") {
        image[super + 12] = std::byte{9};
        CHECK(error_of(image) == "its blocks are not of 4 KiB");
    }
    SUBCASE("compressed") {
        tree.file("text", std::string(100'000, 'x'));
        CHECK(error_of(tree.image("-zlz4")).starts_with("it is compressed"));
    }
    SUBCASE("unknown features") {
        image[super + 8] = std::byte{0};  // no checksum
        image[super + 83] = std::byte{0x80};
        CHECK(error_of(image) == "it has features that are not known here");
    }
}

TEST_CASE("a directory with a second name, such as its own child's, is refused") {
    const HostTree tree;
    tree.file("dir/file", "x");
    std::vector<std::byte> image = tree.image();
    image[erofs::superblock_offset + 8] = std::byte{0};  // no checksum
    ErofsMount sound{image};
    const auto root = sound.tree->image().inode(sound.tree->image().root_nid());
    const auto dir = sound.tree->image().find_name(*root, "dir");
    REQUIRE(dir);
    // The entry's number is found in the image by its value, and made the root's.
    const std::uint64_t from = *dir;
    const std::uint64_t to = sound.tree->image().root_nid();
    int replaced = 0;
    for (std::size_t at = 4; at + 12 <= image.size(); at += 4) {
        if (std::memcmp(&image[at], &from, 8) == 0 && image[at + 10] == std::byte{2}) {
            std::memcpy(&image[at], &to, 8);
            ++replaced;
        }
    }
    REQUIRE(replaced > 0);
    const ErofsMount mount{image};
    REQUIRE(mount.error == nullptr);
    CHECK(mount.files.find("/dir").error() == Errno::uclean);
    CHECK(mount.files.find("/dir/dir/dir").error() == Errno::uclean);
}

TEST_CASE("damage in an image is an error, and nothing worse") {
    const HostTree tree;
    tree.file("deep/er/and/deeper/file", noise(5000));
    tree.file("file", noise(10'000));
    host::create_symlink("deep/er", tree.root() / "link");
    for (const char* options : {"", "-Eforce-inode-extended --chunksize=4096"}) {
        std::vector<std::byte> sound = tree.image(options);
        sound[erofs::superblock_offset + 8] = std::byte{0};  // no checksum
        std::mt19937 random{11};
        for (int round = 0; round < 3000; ++round) {
            std::vector<std::byte> image = sound;
            for (std::size_t flips = 1 + random() % 4; flips > 0; --flips) {
                // Metadata is at the front.
                image[erofs::superblock_offset + random() % 3000] =
                    static_cast<std::byte>(random());
            }
            ErofsMount mount{image};
            if (mount.error == nullptr) {
                use_all(mount);
            }
        }
    }
    CHECK(fake::pages_in_use == 0);
}

TEST_CASE("a disk that cannot be read is an I/O error of the file that lies there") {
    const HostTree tree;
    tree.file("good", noise(5000));
    tree.file("file", noise(50'000));
    ErofsMount mount{tree.image()};
    const auto entry = mount.files.find("/file");
    REQUIRE(entry);
    REQUIRE(fake::content_of(mount.files, "/good") == noise(5000));
    for (std::uint64_t block = 0; block < mount.cache.block_count(); ++block) {
        mount.disk.broken.insert(block);
    }
    CHECK(fake::read_all(mount.files, "/file") == "errno 5");
    mount.disk.broken.clear();
    CHECK(fake::content_of(mount.files, "/file") == noise(50'000));
}

}  // namespace
}  // namespace shoal::guest
