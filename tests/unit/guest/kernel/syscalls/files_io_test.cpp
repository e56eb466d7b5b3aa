// Opening, reading and writing.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string>

#include "tests/unit/guest/kernel/syscalls/program.h"

namespace shoal::guest {
namespace {

using fake::bad;
using fake::buffer;
using fake::cwd;
using fake::Program;

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

}  // namespace
}  // namespace shoal::guest
