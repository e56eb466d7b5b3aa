// Devices, the console, pipes and /proc.
#include "guest/kernel/fs/device_files.h"

#include <doctest/doctest.h>

#include <string>

#include "guest/kernel/fs/pipe.h"
#include "tests/unit/guest/kernel/fs/fake_kernel.h"

namespace shoal::guest {
namespace {

std::string read_some(OpenFile& file, std::size_t count) {
    std::string text(count, '?');
    SpanDestination to{std::as_writable_bytes(std::span{text})};
    const auto done = file.inode().read(file, 0, to, count);
    if (!done) {
        return "errno " + std::to_string(static_cast<int>(done.error()));
    }
    text.resize(*done);
    return text;
}

Result<std::size_t> write_some(OpenFile& file, std::string_view text) {
    SpanSource from{std::as_bytes(std::span{text})};
    return file.inode().write(file, 0, from, text.size());
}

OpenFileRef open_file(const FileSystem& files, std::string_view path, std::uint32_t flags) {
    const auto found = files.find(path);
    REQUIRE(found);
    const auto file = OpenFile::open(*found, flags);
    REQUIRE(file);
    return *file;
}

TEST_CASE("the memory devices give and take what they should") {
    fake::Kernel kernel;
    const auto open = [&](std::string_view path) {
        return open_file(kernel.files, path, open_flags::read_write);
    };
    CHECK(read_some(*open("/dev/null"), 10).empty());
    CHECK(*write_some(*open("/dev/null"), "text") == 4);
    CHECK(read_some(*open("/dev/zero"), 3) == std::string(3, '\0'));
    CHECK(write_some(*open("/dev/full"), "x").error() == Errno::nospc);
    CHECK(read_some(*open("/dev/full"), 1) == std::string(1, '\0'));
    const std::string first = read_some(*open("/dev/urandom"), 1000);
    CHECK(first.size() == 1000);
    CHECK(read_some(*open("/dev/random"), 1000) != first);
    CHECK(fake::names_in(kernel.files, "/dev") ==
          "null zero full random urandom tty console vsock fd stdin stdout stderr ");
}

struct FakeClones final : CloneSource {
    std::uint64_t loads = 0;
    std::string told;
    int waits = 0;
    WaitQueue queue;

    std::uint64_t generation() override { return loads; }
    [[nodiscard]] std::span<const char> words() const override { return told; }
    WaitQueue& load_queue() noexcept override {
        ++waits;
        return queue;
    }
};

TEST_CASE("/dev/clone waits for a load, then gives its words once to everybody who waited") {
    fake::Console console;
    FileSystem files{fake::now};
    FakeClones clones;
    Devices devices{files, console, fake::fill_random};
    devices.set_clone_source(clones);
    REQUIRE(devices.populate());
    const OpenFileRef one = open_file(files, "/dev/clone", open_flags::read_only);
    const OpenFileRef two = open_file(files, "/dev/clone", open_flags::read_only);
    CHECK(one->inode().readiness(*one).readable == Readiness::Is::no);
    CHECK(read_some(*one, 10) == "errno 11");
    CHECK(one->inode().wait_queue(*one) == &clones.queue);
    CHECK(clones.waits == 1);
    clones.told = std::string{"7\0arg\0", 6};
    ++clones.loads;
    CHECK(one->inode().readiness(*one).readable == Readiness::Is::yes);
    CHECK(read_some(*one, 3) == std::string{"7\0a", 3});
    SUBCASE("also while it is loaded again") {
        clones.told = "other";
        ++clones.loads;
    }
    CHECK(read_some(*one, 100) == std::string{"rg\0", 3});
    CHECK(read_some(*one, 100).empty());
    CHECK(one->inode().readiness(*one).readable == Readiness::Is::yes);  // the end
    CHECK(read_some(*two, 100) == clones.told);
    const OpenFileRef later = open_file(files, "/dev/clone", open_flags::read_only);
    CHECK(read_some(*later, 10) == "errno 11");
    SUBCASE("and a load without words is the end at once") {
        clones.told.clear();
        ++clones.loads;
        CHECK(read_some(*later, 10).empty());
    }
}

TEST_CASE("names that the initramfs has in /dev and /proc are left alone") {
    fake::Console console;
    FileSystem files{fake::now};
    REQUIRE(files.ensure_directory("dev"));
    REQUIRE(files.ensure_directory("proc/cpuinfo"));
    fake::put_file(files, "dev/null", "mine");
    Devices devices{files, console, fake::fill_random};
    REQUIRE(devices.populate());
    REQUIRE(devices.populate());
    CHECK(fake::content_of(files, "/dev/null") == "mine");
}

TEST_CASE("standard streams that are no terminals are pipes") {
    fake::Kernel kernel;
    const FileTable& table = kernel.source.table;
    fake::Console& console = kernel.console;
    console.input = "input";
    CHECK(table.find(0)->inode().type() == FileType::fifo);
    CHECK(!table.find(0)->may_write());
    CHECK(!table.find(1)->may_read());
    CHECK(!table.find(1)->inode().as_console()->is_tty());
    CHECK(table.find(1)->entry().name().starts_with("pipe:["));
    CHECK(OpenFile::open(*kernel.files.find("/dev/tty"), open_flags::read_write).error() ==
          Errno::nxio);
    CHECK(read_some(*table.find(0), 3) == "inp");
    CHECK(read_some(*table.find(0), 1000) == "ut");
    CHECK(read_some(*table.find(0), 1000).empty());
    CHECK(*write_some(*table.find(1), "out") == 3);
    CHECK(console.output == "out");
    CHECK(*write_some(*table.find(2), "err") == 3);
    CHECK(console.errors == "err");

    SUBCASE("long output is written to its end, in pieces as the driver takes them") {
        console.write_limit = 1000;
        const std::string text(200'000, 'x');
        CHECK(*write_some(*table.find(1), text) == text.size());
        CHECK(console.output.size() == text.size() + 3);
        console.write_limit = 0;
        CHECK(write_some(*table.find(1), "x").error() == Errno::pipe);
    }
    SUBCASE("without input a nonblocking read does not wait") {
        console.input_ended = false;
        table.find(0)->flags |= open_flags::nonblock;
        CHECK(read_some(*table.find(0), 1) == "errno 11");
    }
}

TEST_CASE("standard streams that are terminals are /dev/console") {
    fake::Console console;
    FileSystem files{fake::now};
    Devices devices{files, console, fake::fill_random};
    FileTable table;
    SUBCASE("all of them") {
        console.ttys = 7;
    }
    SUBCASE("the errors alone") {
        console.ttys = 4;
    }
    REQUIRE(devices.populate());
    REQUIRE(devices.open_standard_streams(table));
    CHECK(table.find(2)->inode().type() == FileType::character_device);
    CHECK(table.find(2)->may_read());
    CHECK(&table.find(2)->entry() == (*files.find("/dev/console")).get());
    CHECK(OpenFile::open(*files.find("/dev/tty"), open_flags::read_write));
    CHECK(*write_some(*table.find(2), "err") == 3);
    CHECK((console.ttys == 7 ? console.output : console.errors) == "err");
}

TEST_CASE("a pipe is a bounded queue") {
    FileSystem files{fake::now};
    auto ends = make_pipe(files, 0);
    REQUIRE(ends);
    OpenFile& out = *ends->write_end;
    OpenFile& in = *ends->read_end;
    CHECK(read_some(in, 10) == "errno 11");
    CHECK(*write_some(out, "abc") == 3);
    CHECK(in.inode().readiness(in).readable == Readiness::Is::yes);
    CHECK(read_some(in, 2) == "ab");
    CHECK(*write_some(out, std::string(70000, 'x')) == Pipe::default_capacity - 1);
    CHECK(write_some(out, "y").error() == Errno::again);
    CHECK(out.inode().readiness(out).writable == Readiness::Is::no);
    // Across the end of the ring.
    CHECK(read_some(in, 100'000) == "c" + std::string(Pipe::default_capacity - 1, 'x'));

    SUBCASE("up to PIPE_BUF bytes are written whole or not at all") {
        REQUIRE(write_some(out, std::string(Pipe::default_capacity - 10, 'x')));
        CHECK(write_some(out, std::string(11, 'y')).error() == Errno::again);
        CHECK(*write_some(out, std::string(5000, 'y')) == 10);
    }
    SUBCASE("without a writer it ends") {
        REQUIRE(write_some(out, "rest"));
        ends->write_end = nullptr;
        CHECK(in.inode().readiness(in).hung_up == Readiness::Is::yes);
        CHECK(read_some(in, 10) == "rest");
        CHECK(read_some(in, 10).empty());
    }
    SUBCASE("without a reader it is broken") {
        ends->read_end = nullptr;
        CHECK(write_some(out, "x").error() == Errno::pipe);
        CHECK(out.inode().readiness(out).error == Readiness::Is::yes);
    }
}

TEST_CASE("/proc tells of the process and the machine") {
    fake::Kernel kernel;
    kernel.source.the_executable = fake::put_file(kernel.files, "/program", "elf");
    const auto read = [&](std::string_view path) { return fake::read_all(kernel.files, path); };
    CHECK(read("/proc/self/cmdline") == std::string("init\0-x\0", 8));
    CHECK(read("/proc/1/environ") == std::string("A=1\0", 4));
    CHECK(read("/proc/self/maps") == "maps\n");
    CHECK(read("/proc/self/comm") == "program\n");
    CHECK(read("/proc/self/exe") == "elf");
    CHECK(read("/proc/uptime") == "12.34 18.68\n");
    CHECK(read("/proc/net/pnp") == "nameserver 10.0.0.1\n");
    CHECK(read("/proc/stat").starts_with("cpu  600 0 0 1868 0 0 0 0 0 0\ncpu0 300 0 0 934 "));
    CHECK(read("/proc/version") == "Linux version 6.1.0-shoal #1\n");
    CHECK(read("/proc/mounts").starts_with("rootfs / rootfs"));
    CHECK(read("/proc/meminfo").starts_with("MemTotal:         131072 kB\nMemFree:"));
    CHECK(read("/proc/self/status").find("Pid:\t1\n") != std::string::npos);
    const std::string cpus = read("/proc/cpuinfo");
    CHECK(cpus.find("processor\t: 1\n") != std::string::npos);
    CHECK(cpus.find("cpu MHz\t\t: 2000.500\n") != std::string::npos);
    CHECK(cpus.find(" sse2 ") != std::string::npos);
    const std::string stat = read("/proc/self/stat");
    CHECK(stat.starts_with("1 (program) R 0 1 1 0 -1 "));
    CHECK(std::ranges::count(stat, ' ') == 51);
    CHECK(stat.find(" 4194304 0 0 0 0 234 0 45 0 20 0 1 ") != std::string::npos);
    CHECK((*kernel.files.find("/proc/cpuinfo"))->inode().size() == 0);

    SUBCASE("another process has a folder of its own, as long as it is there") {
        kernel.source.other_pid = 42;
        REQUIRE(add_proc_process(kernel.files, kernel.source, 42));
        CHECK(read("/proc/42/stat").starts_with("42 (program) S 41 42 1 0 -1 "));
        CHECK(read("/proc/self/stat").starts_with("1 (program) R 0 1 1 0 -1 "));
        CHECK(fake::names_in(kernel.files, "/proc").find(" 42 ") != std::string::npos);
        CHECK(fake::names_in(kernel.files, "/proc/42/fd") == "0 1 2 ");
        const EntryRef status = *kernel.files.find("/proc/42/status");
        kernel.source.other_state = 'Z';
        CHECK(fake::names_in(kernel.files, "/proc/42/fd").empty());
        CHECK(!kernel.files.find("/proc/42/fd/0"));
        kernel.source.other_pid = 0;
        remove_proc_process(kernel.files, 42);
        CHECK(kernel.files.find("/proc/42").error() == Errno::noent);
        CHECK(OpenFile::open(status, open_flags::read_only).error() == Errno::srch);
        remove_proc_process(kernel.files, 42);  // nothing happens
    }
    SUBCASE("the text is made anew when its start is read again") {
        const auto file = open_file(kernel.files, "/proc/self/comm", open_flags::read_only);
        const auto read_at = [&](std::uint64_t offset) {
            std::array<std::byte, 64> bytes{};
            SpanDestination to{bytes};
            const auto count = file->inode().read(*file, offset, to, bytes.size());
            return std::string{reinterpret_cast<const char*>(bytes.data()), count.value()};
        };
        CHECK(read_at(3) == "gram\n");
        kernel.source.the_executable = fake::put_file(kernel.files, "/other", "elf");
        CHECK(read_at(3) == "gram\n");
        CHECK(read_at(0) == "other\n");
        CHECK(read_at(3) == "er\n");
        CHECK(read_at(6).empty());
    }
    SUBCASE("a file that is open stays as it was when it was opened") {
        const auto file = open_file(kernel.files, "/proc/self/exe", open_flags::read_only);
        CHECK(&file->entry() == kernel.source.the_executable.get());
    }
    SUBCASE("its directories cannot be changed") {
        const auto make = [&](std::string_view path) {
            return kernel.files
                .make_directory(*kernel.files.walk(kernel.files.root(), path, FollowLast::never),
                                0755)
                .error();
        };
        const auto remove = [&](std::string_view path) {
            return kernel.files
                .unlink(*kernel.files.walk(kernel.files.root(), path, FollowLast::never))
                .error();
        };
        CHECK(make("/proc/self/new") == Errno::noent);
        CHECK(make("/proc/self/fd/7") == Errno::noent);
        CHECK(remove("/proc/self/exe") == Errno::perm);
        CHECK(remove("/proc/self/fd/0") == Errno::perm);
    }
}

TEST_CASE("/proc/self/fd shows the open files and leads to them") {
    fake::Kernel kernel;
    const EntryRef file = fake::put_file(kernel.files, "/file", "content");
    const auto opened = OpenFile::open(file, open_flags::read_only);
    REQUIRE(kernel.source.table.put(17, *opened, OnExec::keep));
    CHECK(fake::names_in(kernel.files, "/proc/self/fd") == "0 1 2 17 ");
    CHECK((*kernel.files.find("/proc/self/fd/17")).get() == file.get());
    CHECK((*kernel.files.find("/dev/stdout")).get() == &kernel.source.table.find(1)->entry());
    const auto link = kernel.files.find(kernel.files.root(), "/dev/fd/17", FollowLast::no);
    REQUIRE(link);
    CHECK((*link)->inode().type() == FileType::symlink);
    for (const char* name :
         {"3", "x", "", "017", "00", "-1", "99999999999999999999", "65536", "4294967313"}) {
        CHECK(!kernel.files.find(std::string{"/proc/self/fd/x/"} + name));
        if (*name != '\0') {
            CHECK(kernel.files.find(std::string{"/proc/self/fd/"} + name).error() == Errno::noent);
        }
    }
    REQUIRE(
        kernel.files.unlink(*kernel.files.walk(kernel.files.root(), "/file", FollowLast::never)));
    CHECK(fake::read_all(kernel.files, "/proc/self/fd/17") == "content");
}

TEST_CASE("descriptors are the lowest free numbers") {
    FileSystem files{fake::now};
    const auto file = OpenFile::open(EntryRef{&files.root()}, open_flags::read_only);
    REQUIRE(file);
    FileTable table;
    CHECK(*table.add(*file, OnExec::keep) == 0);
    CHECK(*table.add(*file, OnExec::close) == 1);
    CHECK(*table.add(*file, OnExec::keep, 5) == 5);
    CHECK(*table.add(*file, OnExec::keep, 5) == 6);
    CHECK(*table.add(*file, OnExec::keep) == 2);
    CHECK(table.on_exec(1) == OnExec::close);
    CHECK(table.close(1));
    CHECK(table.close(1).error() == Errno::badf);
    CHECK(*table.add(*file, OnExec::keep) == 1);
    CHECK(table.on_exec(1) == OnExec::keep);
    CHECK(table.find(0xFFFFFFFF00000001) == table.find(1));
    CHECK(table.find(0xFFFFFFFF) == nullptr);
    CHECK(table.put(1024, *file, OnExec::keep).error() == Errno::badf);
    CHECK(table.add(*file, OnExec::keep, 1024).error() == Errno::mfile);
    table.set_open_limit(~0ULL);
    CHECK(table.put(FileTable::limit, *file, OnExec::keep).error() == Errno::badf);
    CHECK(table.add(*file, OnExec::keep, FileTable::limit).error() == Errno::mfile);
    CHECK(*table.add(*file, OnExec::keep, FileTable::limit - 1) == FileTable::limit - 1);
    CHECK(table.add(*file, OnExec::keep, FileTable::limit - 1).error() == Errno::mfile);
    CHECK(table.close(FileTable::limit - 1));
    CHECK(table.end() == 7);
    table.set_open_limit(3);
    CHECK(table.find(6) != nullptr);
    CHECK(table.add(*file, OnExec::keep).error() == Errno::mfile);
    FileTable copy;
    REQUIRE(copy.copy(table));
    CHECK(copy.find(6) == table.find(6));
    CHECK(copy.on_exec(0) == OnExec::keep);
    CHECK(copy.open_limit() == 3);
    copy.close_all();
    CHECK(table.find(6) != nullptr);
}

}  // namespace
}  // namespace shoal::guest
