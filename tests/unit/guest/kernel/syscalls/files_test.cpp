// The system calls about files, called as a program calls them.
#include "guest/kernel/syscalls/files.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string>

#include "tests/unit/guest/kernel/fs/fake_kernel.h"

namespace shoal::guest {
namespace {

std::uint64_t slept_ns = 0;
void count_sleep(std::uint64_t nanoseconds) {
    slept_ns += nanoseconds;
}

constexpr std::uint64_t cwd = static_cast<std::uint64_t>(AT_FDCWD);
constexpr UserAddress buffer = fake::user_start + 0x10000;
constexpr UserAddress bad = 0x1000;

// A program: its paths and data go to places of their own in its memory.
struct Program {
    fake::Kernel kernel;
    FileContext context{kernel.files,  kernel.source.table, kernel.console,
                        kernel.source, count_sleep,         EntryRef{&kernel.files.root()}};

    template <class... Arguments>
    std::int64_t call(FileCall& function, Arguments... arguments) {
        next_ = fake::user_start;
        return function(context, CallArguments{argument(arguments)...});
    }
    std::int64_t open(std::string_view path, int flags, unsigned mode = 0644) {
        return call(sys_open, path, flags, mode);
    }
    std::int64_t write(std::int64_t fd, std::string_view text) {
        fake::put_user(buffer, text);
        return call(sys_write, fd, buffer, text.size());
    }
    std::string read(std::int64_t fd, std::size_t count) {
        const std::int64_t got = call(sys_read, fd, buffer, count);
        return got < 0 ? "errno " + std::to_string(-got)
                       : fake::get_user(buffer, static_cast<std::size_t>(got));
    }
    template <class T>
    T value() {
        T result;
        std::memcpy(&result, fake::user_bytes(buffer, sizeof result).data(), sizeof result);
        return result;
    }
    template <class T>
    void set(UserAddress at, const T& from) {
        std::memcpy(fake::user_bytes(at, sizeof from).data(), &from, sizeof from);
    }
    std::string text(std::int64_t size) {
        return size < 0 ? "errno " + std::to_string(-size)
                        : fake::get_user(buffer, static_cast<std::size_t>(size));
    }

private:
    std::uint64_t argument(std::string_view path) {
        const UserAddress at = fake::put_user(next_, std::string{path} + '\0');
        next_ += path.size() + 1;
        return at;
    }
    std::uint64_t argument(const char* path) { return argument(std::string_view{path}); }
    template <class T>
    std::uint64_t argument(T number) {
        return static_cast<std::uint64_t>(number);
    }

    UserAddress next_ = fake::user_start;
};

TEST_CASE("a file is made, written, read and closed") {
    Program program;
    const std::int64_t fd = program.open("/file", O_RDWR | O_CREAT | O_EXCL, 0666);
    REQUIRE(fd == 3);
    CHECK(program.write(fd, "hello world") == 11);
    CHECK(program.call(sys_lseek, fd, 6, SEEK_SET) == 6);
    CHECK(program.read(fd, 100) == "world");
    CHECK(program.read(fd, 100).empty());
    CHECK(program.call(sys_pread64, fd, buffer, 4, 1) == 4);
    CHECK(program.text(4) == "ello");
    CHECK(program.call(sys_pwrite64, fd, buffer, 4, 20) == 4);
    CHECK(program.call(sys_lseek, fd, 0, SEEK_CUR) == 11);
    CHECK(program.call(sys_lseek, fd, -4, SEEK_END) == 20);
    CHECK(program.call(sys_fstat, fd, buffer) == 0);
    const auto status = program.value<struct stat>();
    CHECK(status.st_size == 24);
    CHECK(status.st_mode == (S_IFREG | 0644));  // the umask
    CHECK(status.st_nlink == 1);
    CHECK(status.st_blocks == 8);
    CHECK(status.st_mtim.tv_nsec == 7);
    CHECK(program.call(sys_close, fd) == 0);
    CHECK(program.call(sys_close, fd) == -EBADF);
    CHECK(program.call(sys_read, fd, buffer, 1) == -EBADF);
}

TEST_CASE("open refuses what open(2) says") {
    Program program;
    fake::put_file(program.kernel.files, "/f", "text");
    REQUIRE(program.call(sys_symlink, "f", "/link") == 0);
    REQUIRE(program.call(sys_symlink, "new", "/dangling") == 0);
    REQUIRE(program.call(sys_mkdir, "/d", 0777) == 0);
    CHECK(program.open("/nothing", O_RDONLY) == -ENOENT);
    CHECK(program.open("", O_RDONLY) == -ENOENT);
    CHECK(program.open("/f", O_RDWR | O_CREAT | O_EXCL) == -EEXIST);
    CHECK(program.open("/dangling", O_RDWR | O_CREAT | O_EXCL) == -EEXIST);
    CHECK(program.open("/d", O_RDWR) == -EISDIR);
    CHECK(program.open("/d", O_RDONLY | O_CREAT, 0644) == -EISDIR);
    CHECK(program.open("/x/", O_RDWR | O_CREAT, 0644) == -EISDIR);
    CHECK(program.open("/f/", O_RDONLY) == -ENOTDIR);
    CHECK(program.open("/f", O_RDONLY | O_DIRECTORY) == -ENOTDIR);
    CHECK(program.open("/link", O_RDONLY | O_NOFOLLOW) == -ELOOP);
    CHECK(program.open("/nothing/x", O_RDWR | O_CREAT, 0644) == -ENOENT);
    CHECK(program.open(std::string(4095, 'x'), O_RDONLY) == -ENAMETOOLONG);
    CHECK(program.open(std::string(4096, '/'), O_RDONLY) == -ENAMETOOLONG);
    CHECK(program.call(sys_open, bad, O_RDONLY) == -EFAULT);
    CHECK(program.call(sys_openat, 99, "f", O_RDONLY) == -EBADF);
    CHECK(program.call(sys_openat, 99, "/f", O_RDONLY) == 3);
    CHECK(program.call(sys_openat, 3, "f", O_RDONLY) == -ENOTDIR);
    CHECK(program.open("/dangling", O_RDWR | O_CREAT) == 4);
    CHECK(fake::content_of(program.kernel.files, "/new").empty());
    CHECK(program.open("/f", O_RDONLY | O_TRUNC) == 5);
    CHECK(fake::content_of(program.kernel.files, "/f").empty());
    CHECK(program.open("/link", O_PATH | O_NOFOLLOW) == 6);
    CHECK(program.call(sys_read, 6, buffer, 1) == -EBADF);
    CHECK(program.call(sys_readlinkat, 6, "", buffer, 10) == 1);
    CHECK(program.open("/d", O_RDWR | O_TMPFILE, 0600) == 7);
    CHECK(program.write(7, "x") == 1);
    CHECK(program.call(sys_linkat, cwd, "/proc/self/fd/7", cwd, "/d/named", AT_SYMLINK_FOLLOW) ==
          0);
    CHECK(fake::content_of(program.kernel.files, "/d/named") == "x");
}

TEST_CASE("descriptors opened for one thing do not do another") {
    Program program;
    fake::put_file(program.kernel.files, "/f", "text");
    const std::int64_t reader = program.open("/f", O_RDONLY);
    const std::int64_t writer = program.open("/f", O_WRONLY | O_APPEND);
    const std::int64_t directory = program.open("/", O_RDONLY);
    CHECK(program.write(reader, "x") == -EBADF);
    CHECK(program.read(writer, 1) == "errno 9");
    CHECK(program.read(directory, 1) == "errno 21");
    CHECK(program.call(sys_ftruncate, reader, 1) == -EINVAL);
    CHECK(program.call(sys_getdents64, reader, buffer, 100) == -ENOTDIR);
    CHECK(program.call(sys_lseek, 0, 0, SEEK_SET) == -ESPIPE);
    CHECK(program.call(sys_pread64, 0, buffer, 1, 0) == -ESPIPE);
    CHECK(program.call(sys_pread64, reader, buffer, 1, -1) == -EINVAL);
    CHECK(program.write(writer, "+") == 1);
    CHECK(fake::content_of(program.kernel.files, "/f") == "text+");
    CHECK(program.call(sys_read, reader, bad, 1) == -EFAULT);
    CHECK(program.call(sys_write, writer, bad, 1) == -EFAULT);
    CHECK(program.call(sys_write, writer, bad, 0) == 0);
    CHECK(program.call(sys_read, reader, fake::user_start + fake::user_size - 2, 5) == -EFAULT);
}

TEST_CASE("positions move as lseek(2) says") {
    Program program;
    const std::int64_t fd = program.open("/f", O_RDWR | O_CREAT);
    REQUIRE(program.call(sys_ftruncate, fd, 100'000) == 0);
    REQUIRE(program.call(sys_pwrite64, fd, buffer, 1, 50'000) == 1);
    CHECK(program.call(sys_lseek, fd, 0, SEEK_DATA) == 49152);
    CHECK(program.call(sys_lseek, fd, 49152, SEEK_HOLE) == 53248);
    CHECK(program.call(sys_lseek, fd, 60'000, SEEK_DATA) == -ENXIO);
    CHECK(program.call(sys_lseek, fd, 100'000, SEEK_HOLE) == -ENXIO);
    CHECK(program.call(sys_lseek, fd, -1, SEEK_SET) == -EINVAL);
    CHECK(program.call(sys_lseek, fd, 0, 9) == -EINVAL);
    CHECK(program.call(sys_lseek, fd, std::numeric_limits<std::int64_t>::max(), SEEK_END) ==
          -EOVERFLOW);
    CHECK(program.call(sys_lseek, fd, std::numeric_limits<std::int64_t>::max(), SEEK_SET) ==
          std::numeric_limits<std::int64_t>::max());
    CHECK(program.write(fd, "x") == -EFBIG);
    CHECK(program.read(fd, 1).empty());
}

TEST_CASE("vectors are read and written in order") {
    Program program;
    const std::int64_t fd = program.open("/f", O_RDWR | O_CREAT);
    fake::put_user(buffer + 4096, "abcdef");
    constexpr UserAddress vector = buffer + 8192;
    const auto set_vector = [&](std::size_t index, UserAddress at, std::uint64_t size) {
        program.set(vector + index * 16, std::array<std::uint64_t, 2>{at, size});
    };
    set_vector(0, buffer + 4096, 2);
    set_vector(1, bad, 0);
    set_vector(2, buffer + 4098, 4);
    CHECK(program.call(sys_writev, fd, vector, 3) == 6);
    CHECK(program.call(sys_pwritev, fd, vector, 1, 6) == 2);
    CHECK(fake::content_of(program.kernel.files, "/f") == "abcdefab");
    set_vector(0, buffer, 3);
    set_vector(1, buffer + 100, 100);
    CHECK(program.call(sys_preadv, fd, vector, 2, 1) == 7);
    CHECK(program.text(3) == "bcd");
    CHECK(fake::get_user(buffer + 100, 4) == "efab");
    CHECK(program.call(sys_preadv2, fd, vector, 2, -1, 0, 0) == 2);
    CHECK(program.call(sys_preadv2, fd, vector, 2, 0, 0, 0x80) == -EOPNOTSUPP);
    CHECK(program.call(sys_readv, fd, vector, 1025) == -EINVAL);
    CHECK(program.call(sys_readv, fd, vector, 0) == 0);
    CHECK(program.call(sys_readv, fd, bad, 1) == -EFAULT);
    CHECK(program.call(sys_readv, 99, bad, 1) == -EBADF);
    set_vector(1, buffer, 1ULL << 63);
    CHECK(program.call(sys_readv, fd, vector, 2) == -EINVAL);
    // To the console in one piece.
    set_vector(0, buffer + 4096, 3);
    set_vector(1, buffer + 4099, 3);
    CHECK(program.call(sys_writev, 1, vector, 2) == 6);
    CHECK(program.kernel.console.output == "abcdef");
}

TEST_CASE("directories are listed in pieces of any size") {
    Program program;
    REQUIRE(program.call(sys_mkdir, "/d", 0755) == 0);
    for (int i = 0; i < 500; ++i) {
        fake::put_file(
            program.kernel.files,
            "/d/" + std::string(static_cast<std::size_t>(1 + i % 200), 'n') + std::to_string(i),
            "");
    }
    const std::int64_t fd = program.open("/d", O_RDONLY | O_DIRECTORY);
    CHECK(program.call(sys_getdents64, fd, buffer, 23) == -EINVAL);
    CHECK(program.call(sys_getdents64, fd, bad, 1000) == -EFAULT);
    std::size_t count = 0;
    for (std::size_t size = 24;; size = 300 + size * 7 % 5000) {
        const std::int64_t got = program.call(sys_getdents64, fd, buffer, size);
        REQUIRE(got >= 0);
        if (got == 0) {
            break;
        }
        REQUIRE(got <= static_cast<std::int64_t>(size));
        const std::string records = program.text(got);
        for (std::size_t at = 0; at < records.size(); ++count) {
            std::uint16_t record_size = 0;
            std::memcpy(&record_size, records.data() + at + 16, 2);
            const std::string name = records.data() + at + 19;
            CHECK((name.front() == 'n' || name == "." || name == ".."));
            CHECK(records[at + 18] == (name.front() == 'n' ? 8 : 4));
            at += record_size;
        }
    }
    CHECK(count == 502);
    CHECK(program.call(sys_lseek, fd, 0, SEEK_SET) == 0);
    CHECK(program.call(sys_getdents64, fd, buffer, 24) == 24);
    REQUIRE(program.call(sys_mkdir, "/gone", 0755) == 0);
    const std::int64_t gone = program.open("/gone", O_RDONLY);
    REQUIRE(program.call(sys_rmdir, "/gone") == 0);
    CHECK(program.call(sys_getdents64, gone, buffer, 1000) == -ENOENT);
}

TEST_CASE("files are told about in all ways") {
    Program program;
    fake::put_file(program.kernel.files, "/f", "12345");
    REQUIRE(program.call(sys_symlink, "f", "/link") == 0);
    CHECK(program.call(sys_stat, "/link", buffer) == 0);
    CHECK(program.value<struct stat>().st_size == 5);
    CHECK(program.call(sys_lstat, "/link", buffer) == 0);
    CHECK(program.value<struct stat>().st_mode == (S_IFLNK | 0777));
    CHECK(program.value<struct stat>().st_size == 1);
    CHECK(program.call(sys_stat, "/dev/null", buffer) == 0);
    CHECK(program.value<struct stat>().st_rdev == 0x103);
    CHECK(program.call(sys_stat, "/", buffer) == 0);
    CHECK(program.value<struct stat>().st_nlink == 4);
    CHECK(program.call(sys_newfstatat, 1, "", buffer, AT_EMPTY_PATH) == 0);
    CHECK(program.value<struct stat>().st_mode == (S_IFIFO | 0600));
    CHECK(program.call(sys_newfstatat, cwd, "", buffer, AT_EMPTY_PATH) == 0);
    CHECK(program.call(sys_newfstatat, cwd, "", buffer, 0) == -ENOENT);
    CHECK(program.call(sys_newfstatat, cwd, "/f", buffer, 1) == -EINVAL);
    CHECK(program.call(sys_newfstatat, cwd, "/f", bad, 0) == -EFAULT);
    CHECK(program.call(sys_statx, cwd, "/f", 0, 0x7FF, buffer) == 0);
    CHECK(program.value<struct statx>().stx_size == 5);
    CHECK(program.value<struct statx>().stx_btime.tv_sec > 1'700'000'000);
    CHECK(program.call(sys_statx, cwd, "/f", 0, 0x80000000, buffer) == -EINVAL);
    CHECK(program.call(sys_statfs, "/f", buffer) == 0);
    CHECK(program.value<struct statfs>().f_bfree == 25600);
    CHECK(program.call(sys_fstatfs, 77, buffer) == -EBADF);
    CHECK(program.call(sys_access, "/f", R_OK | W_OK) == 0);
    CHECK(program.call(sys_access, "/f", X_OK) == -EACCES);
    CHECK(program.call(sys_access, "/", X_OK) == 0);
    CHECK(program.call(sys_access, "/f", 8) == -EINVAL);
    CHECK(program.call(sys_chmod, "/f", 0100) == 0);
    CHECK(program.call(sys_faccessat2, cwd, "/f", X_OK, AT_EACCESS) == 0);
    CHECK(program.call(sys_access, "/nothing", F_OK) == -ENOENT);
}

TEST_CASE("links are read to their names") {
    Program program;
    program.kernel.source.the_executable = fake::put_file(program.kernel.files, "/prog", "");
    REQUIRE(program.call(sys_symlink, "target", "/link") == 0);
    const auto read_link = [&](std::string_view path, std::size_t size = 1000) {
        return program.text(program.call(sys_readlink, path, buffer, size));
    };
    CHECK(read_link("/link") == "target");
    CHECK(read_link("/link", 3) == "tar");
    CHECK(read_link("/link", 0) == "errno 22");
    CHECK(read_link("/prog") == "errno 22");
    CHECK(read_link("/nothing") == "errno 2");
    CHECK(read_link("/proc/self") == "1");
    CHECK(read_link("/proc/self/exe") == "/prog");
    CHECK(read_link("/proc/self/fd/1").starts_with("pipe:["));
    REQUIRE(program.open("/prog", O_RDONLY) == 3);
    REQUIRE(program.call(sys_rename, "/prog", "/other") == 0);
    CHECK(read_link("/proc/self/fd/3") == "/other");
    REQUIRE(program.call(sys_unlink, "/other") == 0);
    CHECK(read_link("/proc/self/exe") == "/other (deleted)");
    CHECK(program.call(sys_readlink, "/link", bad, 10) == -EFAULT);
    CHECK(program.call(sys_symlink, "", "/empty") == -ENOENT);
    CHECK(program.call(sys_symlink, "x", "/link") == -EEXIST);
}

TEST_CASE("the working directory is where relative paths start") {
    Program program;
    REQUIRE(program.call(sys_mkdir, "a", 0777) == 0);
    REQUIRE(program.call(sys_chdir, "a") == 0);
    REQUIRE(program.call(sys_mkdir, "b", 0777) == 0);
    REQUIRE(program.call(sys_chdir, "b/") == 0);
    CHECK(program.text(program.call(sys_getcwd, buffer, 100)) == std::string("/a/b\0", 5));
    CHECK(program.call(sys_getcwd, buffer, 4) == -ERANGE);
    CHECK(program.call(sys_getcwd, bad, 100) == -EFAULT);
    CHECK(program.call(sys_mkdirat, cwd, "../b", 0777) == -EEXIST);
    CHECK(program.call(sys_rmdir, "/a/b") == 0);
    CHECK(program.call(sys_getcwd, buffer, 100) == -ENOENT);
    CHECK(program.call(sys_mkdir, "x", 0777) == -ENOENT);
    CHECK(program.call(sys_chdir, "/dev/null") == -ENOTDIR);
    const std::int64_t fd = program.open("/a", O_RDONLY | O_DIRECTORY);
    CHECK(program.call(sys_fchdir, fd) == 0);
    CHECK(program.call(sys_getcwd, buffer, 100) == 3);
    CHECK(program.call(sys_umask, 0) == 022);
    CHECK(program.call(sys_umask, 01777) == 0);
    CHECK(program.call(sys_umask, 022) == 0777);
    CHECK(program.call(sys_unlinkat, cwd, "/a", 0) == -EISDIR);
    CHECK(program.call(sys_unlinkat, cwd, "/a", AT_REMOVEDIR) == 0);
    CHECK(program.call(sys_unlinkat, cwd, "/a", 1) == -EINVAL);
    CHECK(program.call(sys_renameat2, cwd, "/dev/null", cwd, "/n", 4) == -EINVAL);
}

TEST_CASE("attributes change on request") {
    Program program;
    fake::put_file(program.kernel.files, "/f", "12345");
    const auto status = [&] {
        REQUIRE(program.call(sys_stat, "/f", buffer) == 0);
        return program.value<struct stat>();
    };
    CHECK(program.call(sys_chmod, "/f", 06755) == 0);
    CHECK(status().st_mode == (S_IFREG | 06755));
    CHECK(program.call(sys_chown, "/f", 5, -1) == 0);
    CHECK(status().st_uid == 5);
    CHECK(status().st_gid == 0);
    CHECK(status().st_mode == (S_IFREG | 0755));
    using Times = std::array<struct timespec, 2>;
    program.set(buffer, Times{{{100, 1}, {200, 999'999'999}}});
    CHECK(program.call(sys_utimensat, cwd, "/f", buffer, 0) == 0);
    CHECK(status().st_mtim.tv_sec == 200);
    program.set(buffer, Times{{{300, 0}, {0, UTIME_OMIT}}});
    CHECK(program.call(sys_utimensat, cwd, "/f", buffer, 0) == 0);
    CHECK(status().st_atim.tv_sec == 300);
    CHECK(status().st_mtim.tv_sec == 200);
    program.set(buffer, Times{{{0, 1'000'000'000}, {0, 0}}});
    CHECK(program.call(sys_utimensat, cwd, "/f", buffer, 0) == -EINVAL);
    CHECK(program.call(sys_utimensat, cwd, "/f", 0, 0) == 0);
    CHECK(status().st_mtim.tv_sec > 1'700'000'000);
    CHECK(program.call(sys_truncate, "/f", 2) == 0);
    CHECK(fake::content_of(program.kernel.files, "/f") == "12");
    CHECK(program.call(sys_truncate, "/f", -1) == -EINVAL);
    CHECK(program.call(sys_truncate, "/", 0) == -EISDIR);
    CHECK(program.call(sys_truncate, "/dev/null", 0) == -EINVAL);
    const std::int64_t fd = program.open("/f", O_RDWR);
    CHECK(program.call(sys_fallocate, fd, 0, 0, 10'000) == 0);
    CHECK(status().st_size == 10'000);
    CHECK(status().st_blocks == 24);
    CHECK(program.call(sys_fallocate, fd, 0, 0, 1ULL << 40) == -ENOSPC);
    CHECK(program.call(sys_fallocate, fd, 0, 1, 0) == -EINVAL);
    CHECK(program.call(sys_fallocate, fd, 2, 0, 1) == -EOPNOTSUPP);
    CHECK(program.call(sys_fallocate, fd, 0, std::numeric_limits<std::int64_t>::max(), 1) ==
          -EFBIG);
    CHECK(program.call(sys_fsync, fd) == 0);
    CHECK(program.call(sys_fsync, 1) == -EINVAL);
}

TEST_CASE("descriptors are duplicated and flagged") {
    Program program;
    fake::put_file(program.kernel.files, "/f", "12345");
    const std::int64_t fd = program.open("/f", O_RDONLY | O_CLOEXEC);
    CHECK(program.call(sys_fcntl, fd, F_GETFD) == FD_CLOEXEC);
    CHECK(program.call(sys_dup, fd) == 4);
    CHECK(program.call(sys_fcntl, 4, F_GETFD) == 0);
    CHECK(program.read(fd, 2) == "12");
    CHECK(program.read(4, 2) == "34");
    CHECK(program.call(sys_dup2, fd, 10) == 10);
    CHECK(program.call(sys_dup2, fd, fd) == fd);
    CHECK(program.call(sys_dup2, 99, 99) == -EBADF);
    CHECK(program.call(sys_dup2, fd, -1) == -EBADF);
    CHECK(program.call(sys_dup3, fd, fd, 0) == -EINVAL);
    CHECK(program.call(sys_dup3, fd, 11, O_CLOEXEC) == 11);
    CHECK(program.call(sys_fcntl, fd, F_DUPFD, 10) == 12);
    CHECK(program.call(sys_fcntl, fd, F_DUPFD, 1 << 30) == -EINVAL);
    CHECK(program.call(sys_fcntl, fd, F_SETFL, O_NONBLOCK | O_WRONLY) == 0);
    CHECK((program.call(sys_fcntl, 4, F_GETFL) & (O_NONBLOCK | O_ACCMODE)) == O_NONBLOCK);
    CHECK(program.call(sys_fcntl, fd, 4711) == -EINVAL);
    CHECK(program.call(sys_fcntl, 99, F_GETFD) == -EBADF);
    CHECK(program.call(sys_close_range, 4, ~0U, 0) == 0);
    CHECK(program.call(sys_fcntl, 12, F_GETFD) == -EBADF);
    CHECK(program.call(sys_close_range, 5, 4, 0) == -EINVAL);
    CHECK(program.call(sys_pipe2, buffer, O_CLOEXEC) == 0);
    CHECK(program.value<std::array<int, 2>>() == std::array{4, 5});
    CHECK(program.write(5, "through") == 7);
    CHECK(program.read(4, 100) == "through");
    CHECK(program.call(sys_pipe2, bad, 0) == -EFAULT);
    CHECK(program.call(sys_pipe, buffer) == 0);
    CHECK(program.value<std::array<int, 2>>() == std::array{6, 7});
    CHECK(program.call(sys_close, 6) == 0);
    CHECK(program.write(7, "x") == -EPIPE);
}

TEST_CASE("terminal requests work on terminals only") {
    Program program;
    CHECK(program.call(sys_ioctl, 1, TCGETS, buffer) == -ENOTTY);
    CHECK(program.call(sys_ioctl, 1, TIOCGWINSZ, buffer) == -ENOTTY);
    const std::int64_t null = program.open("/dev/null", O_RDWR);
    CHECK(program.call(sys_ioctl, null, TCGETS, buffer) == -ENOTTY);
    program.kernel.console.ttys = 7;
    CHECK(program.call(sys_ioctl, 1, TIOCGWINSZ, buffer) == 0);
    CHECK(program.value<struct winsize>().ws_col == 132);
    CHECK(program.call(sys_ioctl, 1, TCGETS, buffer) == 0);
    std::array<std::uint32_t, 9> settings = program.value<std::array<std::uint32_t, 9>>();
    CHECK((settings[3] & 8) != 0);  // ECHO
    settings[3] &= ~8U;
    program.set(buffer, settings);
    CHECK(program.call(sys_ioctl, 1, TCSETS, buffer) == 0);
    program.set(buffer, std::array<std::uint32_t, 9>{});
    CHECK(program.call(sys_ioctl, 1, TCGETS, buffer) == 0);
    CHECK(program.value<std::array<std::uint32_t, 9>>() == settings);
    CHECK(program.call(sys_ioctl, 1, TCGETS, bad) == -EFAULT);
    CHECK(program.call(sys_ioctl, 1, 0x1234, buffer) == -ENOTTY);
}

TEST_CASE("files are copied from one to the other") {
    Program program;
    fake::put_file(program.kernel.files, "/from", std::string(10'000, 'a') + "end");
    const std::int64_t from = program.open("/from", O_RDWR);
    const std::int64_t to = program.open("/to", O_RDWR | O_CREAT);
    CHECK(program.call(sys_sendfile, to, from, 0, 1 << 20) == 10'003);
    CHECK(program.call(sys_sendfile, to, from, 0, 100) == 0);
    CHECK(fake::content_of(program.kernel.files, "/to").ends_with("aend"));
    program.set(buffer, std::uint64_t{10'000});
    CHECK(program.call(sys_sendfile, 1, from, buffer, 100) == 3);
    CHECK(program.kernel.console.output == "end");
    CHECK(program.value<std::uint64_t>() == 10'003);
    CHECK(program.call(sys_sendfile, to, 0, 0, 10) == -EINVAL);
    CHECK(program.call(sys_sendfile, to, from, bad, 10) == -EFAULT);
    CHECK(program.call(sys_sendfile, from, from, 0, 10) == -EINVAL);
    program.set(buffer, std::uint64_t{9'999});
    program.set(buffer + 8, std::uint64_t{20'000});
    CHECK(program.call(sys_copy_file_range, from, buffer, from, buffer + 8, 100, 0) == 4);
    CHECK(fake::content_of(program.kernel.files, "/from").size() == 20'004);
    program.set(buffer, std::uint64_t{0});
    program.set(buffer + 8, std::uint64_t{5});
    CHECK(program.call(sys_copy_file_range, from, buffer, from, buffer + 8, 10, 0) == -EINVAL);
    CHECK(program.call(sys_copy_file_range, from, 0, 1, 0, 10, 0) == -EINVAL);
    CHECK(program.call(sys_copy_file_range, from, 0, to, 0, 10, 1) == -EINVAL);
}

TEST_CASE("poll and select see what is ready, and wait only for the console") {
    Program program;
    const std::int64_t file = program.open("/f", O_RDWR | O_CREAT);
    using Entries = std::array<struct pollfd, 4>;
    const auto set_entries = [&] {
        program.set(buffer, Entries{{{0, POLLIN, 0},
                                     {static_cast<int>(file), POLLIN | POLLOUT, 0},
                                     {99, POLLIN, 0},
                                     {-1, POLLIN, 77}}});
    };
    set_entries();
    CHECK(program.call(sys_poll, buffer, 4, -1) == 3);
    auto entries = program.value<Entries>();
    CHECK(entries[0].revents == POLLIN);
    CHECK(entries[1].revents == (POLLIN | POLLOUT));
    CHECK(entries[2].revents == POLLNVAL);
    CHECK(entries[3].revents == 0);
    program.kernel.console.input_ended = false;
    set_entries();
    CHECK(program.call(sys_poll, buffer, 1, 5) == 0);
    CHECK(program.kernel.console.waited_ns == 5'000'000);
    slept_ns = 0;
    CHECK(program.call(sys_poll, buffer + 24, 1, 7) == 0);
    CHECK(slept_ns == 7'000'000);
    CHECK(program.call(sys_poll, bad, 1, 0) == -EFAULT);
    CHECK(program.call(sys_poll, buffer, 1 << 30, 0) == -EINVAL);
    program.set(buffer + 100, timespec{0, 1'000'000'000});
    CHECK(program.call(sys_ppoll, buffer, 1, buffer + 100) == -EINVAL);

    program.kernel.console.input = "x";
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(0, &readable);
    FD_SET(3, &readable);
    program.set(buffer, readable);
    CHECK(program.call(sys_select, 4, buffer, 0, 0, 0) == 2);
    CHECK(FD_ISSET(0, &readable));
    program.kernel.console.input = "";
    program.set(buffer, readable);
    CHECK(program.call(sys_pselect6, 4, buffer, 0, 0, 0, 0) == 1);
    readable = program.value<fd_set>();
    CHECK(!FD_ISSET(0, &readable));
    CHECK(FD_ISSET(3, &readable));
    FD_SET(9, &readable);
    program.set(buffer, readable);
    CHECK(program.call(sys_select, 10, buffer, 0, 0, 0) == -EBADF);
    CHECK(program.call(sys_select, -1, buffer, 0, 0, 0) == -EINVAL);
    CHECK(program.call(sys_select, 1024, bad, 0, 0, 0) == -EFAULT);
}

}  // namespace
}  // namespace shoal::guest
