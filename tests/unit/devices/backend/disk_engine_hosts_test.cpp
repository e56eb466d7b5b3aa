// Disk engines on other hosts: block devices, no io_uring, and errors.
#include "devices/backend/disk_engine.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/loop.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "devices/backend/uring_disk_engine.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"
#include "devices/host/write_signals.h"
#include "tests/unit/devices/backend/disk_engine_fixture.h"
#include "tests/unit/devices/backend/temporary_image.h"

namespace {

using namespace shoal::backend;
using Fixture = DiskEngineFixture;

constexpr std::uint64_t mib = 1 << 20;

using SyncIo = std::integral_constant<DiskIo, DiskIo::sync>;
using AsyncIo = std::integral_constant<DiskIo, DiskIo::async>;

// A block device on a file, if the process may have one.
class LoopDevice {
public:
    explicit LoopDevice(const TemporaryImage& image) {
        const shoal::host::UniqueFd control{::open("/dev/loop-control", O_RDWR | O_CLOEXEC)};
        // Others look for a free one at the same time.
        for (int attempt = 0; control && !device_ && attempt < 20; ++attempt) {
            const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
            path_ = "/dev/loop" + std::to_string(number);
            shoal::host::UniqueFd device{::open(path_.c_str(), O_RDWR | O_CLOEXEC)};
            loop_config config{};
            config.fd = static_cast<std::uint32_t>(image.fd());
            config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
            if (device && ::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) {
                device_ = std::move(device);
            }
        }
    }
    [[nodiscard]] bool is_there() const { return static_cast<bool>(device_); }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
    shoal::host::UniqueFd device_;
};

// A file in memory that may be written, until it is sealed.
struct SealedFile {
    SealedFile() : fd{::memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING)} {
        shoal::host::check_os(::ftruncate(fd.get(), mib), "ftruncate");
    }
    void seal() const {
        shoal::host::check_os(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE), "F_ADD_SEALS");
    }
    [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd.get()); }
    shoal::host::UniqueFd fd;
};

}  // namespace

TEST_CASE_TEMPLATE("a block device is written, zeroed and discarded", Io, SyncIo, AsyncIo) {
    const TemporaryImage image{4 * mib};
    image.fill(0, 4 * mib, std::byte{0xAB});
    const LoopDevice device{image};
    if (!device.is_there()) {
        MESSAGE("skipped: no loop device to be had");
        return;
    }
    Fixture f{device.path(), Io::value};
    CHECK(f.engine->disk().is_block_device());
    CHECK(f.engine->disk().capacity_sectors() == 4 * mib / 512);
    auto bytes = pattern(8192);
    CHECK(f.run(DiskOperation::write, 4096, bytes) == 0);
    CHECK(f.run(DiskOperation::write_zeroes, mib, 4096) == 0);
    CHECK(f.run(DiskOperation::discard, 2 * mib, mib) == 0);
    CHECK(f.run(DiskOperation::flush, 0, 0) == 0);
    CHECK(image.read(4096, 8192) == bytes);
    CHECK(image.read(mib, 4096) == std::vector<std::byte>(4096));
    CHECK(image.byte_at(mib + 4096) == std::byte{0xAB});
    CHECK(image.allocated_bytes() < 4 * mib);
    std::vector<std::byte> read(8192);
    CHECK(f.run(DiskOperation::read, 4096, read) == 0);
    CHECK(read == bytes);
}

TEST_CASE("where the host refuses io_uring, the calls are made one by one") {
    const TemporaryImage image{mib};
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        // io_uring_setup fails with EPERM, as under a container's seccomp filter.
        std::array<sock_filter, 4> program{{
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        }};
        const sock_fprog filter{program.size(), program.data()};
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        const bool filtered = ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
        ::_exit(filtered && open_disk({.path = image.path()})->io() == DiskIo::sync ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

TEST_CASE("a disk's ring opens no files") {
    const auto ring = Ring::try_open(4);
    REQUIRE(ring);
    const auto result_of = [&ring](auto prepare) {
        io_uring_sqe* const entry = io_uring_get_sqe(ring->get());
        REQUIRE(entry != nullptr);
        prepare(entry);
        REQUIRE(io_uring_submit_and_wait(ring->get(), 1) == 1);
        io_uring_cqe* done = nullptr;
        REQUIRE(io_uring_wait_cqe(ring->get(), &done) == 0);
        const int result = done->res;
        io_uring_cqe_seen(ring->get(), done);
        return result;
    };
    CHECK(result_of([](io_uring_sqe* entry) {
              io_uring_prep_openat(entry, AT_FDCWD, "/dev/null", O_RDONLY, 0);
          }) == -EACCES);
    const TemporaryImage image{mib};
    std::array<std::byte, 4096> bytes{};
    const shoal::host::UniqueFd fd{::open(image.path().c_str(), O_RDONLY)};
    CHECK(result_of([&](io_uring_sqe* entry) {
              io_uring_prep_read(entry, fd.get(), bytes.data(), bytes.size(), 0);
          }) == static_cast<int>(bytes.size()));
}

TEST_CASE_TEMPLATE("a host's error is the request's, and the next request is served", Io, SyncIo,
                   AsyncIo) {
    constexpr DiskIo io = Io::value;
    std::vector<std::byte> bytes(4096, std::byte{0xCD});
    SUBCASE("the file became shorter") {
        const TemporaryImage image{mib};
        Fixture f{image.path(), io};
        image.resize(mib / 2);
        CHECK(f.run(DiskOperation::read, mib - 4096, bytes) == EIO);
        CHECK(f.run(DiskOperation::read, 0, bytes) == 0);
        CHECK(bytes.front() == std::byte{0});
    }
    SUBCASE("the file was sealed against writing") {
        const SealedFile file;
        Fixture f{file.path(), io};
        CHECK(f.run(DiskOperation::write, 0, bytes) == 0);
        file.seal();
        CHECK(f.run(DiskOperation::write, 0, bytes) == EPERM);
        CHECK(f.run(DiskOperation::discard, 0, 4096) == EPERM);
        CHECK(f.run(DiskOperation::write_zeroes, 0, 4096) == EPERM);
        CHECK(f.run(DiskOperation::read, 0, bytes) == 0);
    }
    SUBCASE("the process may not write so far into a file") {
        const TemporaryImage image{mib};
        Fixture f{image.path(), io};
        rlimit before{};
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
        shoal::host::ignore_write_signals();  // as the monitor does
        const rlimit limit{mib / 2, before.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
        const int far = f.run(DiskOperation::write, mib / 2, bytes);
        const int across = f.run(DiskOperation::write, mib / 2 - 512, bytes);
        const int near = f.run(DiskOperation::write, 0, bytes);
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
        ::signal(SIGPIPE, SIG_DFL);
        ::signal(SIGXFSZ, SIG_DFL);
        CHECK(far == EFBIG);
        CHECK(across == EFBIG);
        CHECK(near == 0);
    }
}
