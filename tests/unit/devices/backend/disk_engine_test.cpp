// Both engines on real files, and what they do when the host does not do what it should.
#include "devices/backend/disk_engine.h"

#include <doctest/doctest.h>
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

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "devices/host/os_error.h"
#include "tests/unit/devices/backend/temporary_image.h"

namespace {

using namespace shoal::backend;

constexpr std::array engines{DiskIo::sync, DiskIo::async};
constexpr std::uint64_t mib = 1 << 20;

struct Fixture {
    explicit Fixture(const std::string& path, DiskIo io,
                     DiskCaching caching = DiskCaching::page_cache)
        : engine{open_disk({.path = path, .caching = caching, .io = io})} {}

    // Runs one request to its end and returns its error.
    int run(DiskOperation operation, std::uint64_t offset, std::uint64_t size_bytes,
            std::span<iovec> buffers = {}) {
        DiskRequest request;
        request.set(operation, offset, size_bytes, buffers);
        engine->start(request);
        engine->wait();
        REQUIRE(engine->take_finished() == &request);
        REQUIRE(engine->take_finished() == nullptr);
        return request.error;
    }
    int run(DiskOperation operation, std::uint64_t offset, std::span<std::byte> memory) {
        iovec buffer{memory.data(), memory.size()};
        return run(operation, offset, memory.size(), std::span{&buffer, 1});
    }

    std::unique_ptr<DiskEngine> engine;
};

std::vector<std::byte> pattern(std::uint64_t size_bytes) {
    std::vector<std::byte> bytes(size_bytes);
    for (std::size_t idx = 0; idx < bytes.size(); ++idx) {
        bytes[idx] = static_cast<std::byte>(idx * 7 + idx / 251);
    }
    return bytes;
}

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

TEST_CASE("the engine is what was asked for") {
    const TemporaryImage image{mib};
    CHECK(Fixture{image.path(), DiskIo::sync}.engine->io() == DiskIo::sync);
    const Fixture async{image.path(), DiskIo::async};
    if (async.engine->io() != DiskIo::async) {
        MESSAGE("the host refuses io_uring: the sync engine is tested twice");
    }
}

TEST_CASE("what is written can be read, whatever the buffers") {
    for (const char* const folder : {"/tmp", "/dev/shm"}) {
        for (const DiskIo io : engines) {
            for (const std::uint64_t size : {512UL, 4096UL, 64 * 1024UL, 3 * mib + 512}) {
                CAPTURE(folder);
                CAPTURE(size);
                const TemporaryImage image{8 * mib, folder};
                Fixture f{image.path(), io};
                auto written = pattern(size);
                CHECK(f.run(DiskOperation::write, 512, written) == 0);
                CHECK(image.read(512, size) == written);

                std::vector<std::byte> read(size);
                std::array<iovec, 3> buffers{{{read.data(), 1},
                                              {read.data() + 1, size / 2},
                                              {read.data() + 1 + size / 2, size - 1 - size / 2}}};
                CHECK(f.run(DiskOperation::read, 512, size, buffers) == 0);
                CHECK(read == written);
            }
        }
    }
}

TEST_CASE("a direct disk takes aligned and unaligned buffers, and both see the same") {
    const TemporaryImage image{mib};
    for (const DiskIo io : engines) {
        Fixture f{image.path(), io, DiskCaching::direct};
        alignas(4096) static std::array<std::byte, 3 * 4096> memory{};
        std::ranges::copy(pattern(memory.size()), memory.begin());
        const auto aligned = std::span{memory}.first(4096);
        const auto unaligned = std::span{memory}.subspan(4097, 1024);
        CHECK(f.run(DiskOperation::write, 8192, aligned) == 0);
        CHECK(f.run(DiskOperation::write, 8192 + 512, unaligned) == 0);
        CHECK(f.run(DiskOperation::flush, 0, 0) == 0);
        auto expected = std::vector(aligned.begin(), aligned.end());
        std::ranges::copy(unaligned, expected.begin() + 512);
        CHECK(image.read(8192, 4096) == expected);
        CHECK(f.run(DiskOperation::read, 8192, aligned) == 0);
        CHECK(std::ranges::equal(aligned, expected));
    }
}

TEST_CASE("an unaligned request of a direct disk does not overtake those in flight") {
    const TemporaryImage image{4 * mib};
    Fixture f{image.path(), DiskIo::async, DiskCaching::direct};
    alignas(4096) static std::array<std::byte, mib> memory{};
    memory.fill(std::byte{0x11});
    std::array<std::byte, 512> small{};
    small.fill(std::byte{0x22});
    iovec large_buffer{memory.data(), memory.size()};
    iovec small_buffer{small.data() + 0, small.size()};
    if (reinterpret_cast<std::uintptr_t>(small_buffer.iov_base) % 2 == 0) {
        small_buffer = {small.data() + 1, 511};
    }
    DiskRequest large;
    DiskRequest odd;
    large.set(DiskOperation::write, 0, mib, std::span{&large_buffer, 1});
    odd.set(DiskOperation::write, 4096, small_buffer.iov_len, std::span{&small_buffer, 1});
    f.engine->start(large);
    f.engine->start(odd);
    f.engine->wait();
    CHECK(f.engine->take_finished() == &large);
    CHECK(f.engine->take_finished() == &odd);
    CHECK(image.byte_at(4095) == std::byte{0x11});
    CHECK(image.byte_at(4096) == std::byte{0x22});
    CHECK(image.byte_at(4096 + 511) == std::byte{0x11});
}

TEST_CASE("durable writes and flushes succeed") {
    const TemporaryImage image{mib};
    for (const DiskIo io : engines) {
        Fixture f{image.path(), io};
        auto bytes = pattern(4096);
        CHECK(f.run(DiskOperation::write_durably, 4096, bytes) == 0);
        CHECK(f.run(DiskOperation::flush, 0, 0) == 0);
        CHECK(image.read(4096, 4096) == bytes);
    }
}

TEST_CASE("discarding gives the room back and keeps the size") {
    for (const DiskIo io : engines) {
        const TemporaryImage image{4 * mib};
        image.fill(0, 4 * mib, std::byte{0xAB});
        REQUIRE(image.allocated_bytes() >= 4 * mib);
        Fixture f{image.path(), io};
        CHECK(f.run(DiskOperation::discard, mib, 2 * mib) == 0);
        CHECK(image.allocated_bytes() < 3 * mib);
        CHECK(image.byte_at(mib - 1) == std::byte{0xAB});
        CHECK(image.byte_at(mib) == std::byte{0});
        CHECK(image.byte_at(3 * mib) == std::byte{0xAB});
        CHECK(image.read(4 * mib - 1, 1).size() == 1);
    }
}

TEST_CASE("zeros are written with and without giving the room back") {
    for (const char* const folder : {"/tmp", "/dev/shm"}) {  // tmpfs cannot zero a range at once
        for (const DiskIo io : engines) {
            CAPTURE(folder);
            const TemporaryImage image{8 * mib, folder};
            image.fill(0, 8 * mib, std::byte{0xAB});
            Fixture f{image.path(), io};
            CHECK(f.run(DiskOperation::write_zeroes, 512, 3 * mib + 512) == 0);
            CHECK(image.byte_at(511) == std::byte{0xAB});
            CHECK(image.read(512, 3 * mib + 512) == std::vector<std::byte>(3 * mib + 512));
            CHECK(image.byte_at(3 * mib + 1024) == std::byte{0xAB});
            CHECK(image.allocated_bytes() >= 8 * mib);
            CHECK(f.run(DiskOperation::deallocate_zeroes, 4 * mib, 4 * mib) == 0);
            CHECK(image.read(4 * mib, 4 * mib) == std::vector<std::byte>(4 * mib));
            CHECK(image.allocated_bytes() < 5 * mib);
        }
    }
}

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

TEST_CASE("many requests are in flight at once and all come back") {
    for (const DiskIo io : engines) {
        const TemporaryImage image{mib};
        Fixture f{image.path(), io, DiskCaching::direct};
        std::vector<DiskRequest> requests(DiskEngine::max_in_flight);
        alignas(4096) static std::array<std::byte, mib> memory{};
        std::ranges::copy(pattern(mib), memory.begin());
        std::vector<iovec> buffers(requests.size());
        for (std::size_t idx = 0; idx < requests.size(); ++idx) {
            buffers[idx] = {memory.data() + 4096 * idx, 4096};
            requests[idx].set(DiskOperation::write, 4096 * idx, 4096, std::span{&buffers[idx], 1});
            f.engine->start(requests[idx]);
        }
        CHECK(f.engine->submit());
        f.engine->wait();
        std::size_t count = 0;
        while (const DiskRequest* const request = f.engine->take_finished()) {
            CHECK(request->error == 0);
            ++count;
        }
        CHECK(count == requests.size());
        CHECK(std::ranges::equal(image.read(0, mib), memory));
    }
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
        const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{mib / 2, before.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
        const int far = f.run(DiskOperation::write, mib / 2, bytes);
        const int across = f.run(DiskOperation::write, mib / 2 - 512, bytes);
        const int near = f.run(DiskOperation::write, 0, bytes);
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
        ::signal(SIGXFSZ, old_handler);
        CHECK(far == EFBIG);
        CHECK(across == EFBIG);
        CHECK(near == 0);
    }
}
