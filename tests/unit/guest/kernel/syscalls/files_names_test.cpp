// Names, listings and attributes.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

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
    CHECK(program.value<struct statfs>().f_bfree == 25088);  // without a 64th of the memory
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

}  // namespace
}  // namespace shoal::guest
