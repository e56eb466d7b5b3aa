// A block device that qemu-storage-daemon serves.
#include "devices/virtio/vhost_user_block.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/devices/virtio/block_fixture.h"

namespace shoal::virtio {
namespace {

using Type = BlockDriver::Type;
using Answer = BlockDriver::Answer;

// The daemon with one export, from its start to its end.
class StorageDaemon {
public:
    explicit StorageDaemon(const std::string& image, bool writable = true)
        : socket_{image + ".socket"}, pid_{::fork()} {
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            const std::string file =
                "driver=file,node-name=disk,filename=" + image + (writable ? "" : ",read-only=on");
            const std::string exported = "type=vhost-user-blk,id=export,node-name=disk," +
                                         ("addr.type=unix,addr.path=" + socket_) +
                                         (writable ? ",writable=on" : "");
            ::execlp("qemu-storage-daemon", "qemu-storage-daemon", "--blockdev", file.c_str(),
                     "--export", exported.c_str(), nullptr);
            ::_exit(127);
        }
    }
    StorageDaemon(const StorageDaemon&) = delete;
    StorageDaemon& operator=(const StorageDaemon&) = delete;
    ~StorageDaemon() {
        end();
        ::unlink(socket_.c_str());
    }
    void end() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
            pid_ = -1;
        }
    }
    // True once it listens; false when there is no such program.
    [[nodiscard]] bool await() {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        while (::access(socket_.c_str(), F_OK) != 0) {
            int status = 0;
            if (::waitpid(pid_, &status, WNOHANG) == pid_) {
                pid_ = -1;
                return false;
            }
            REQUIRE(std::chrono::steady_clock::now() < deadline);
            ::poll(nullptr, 0, 5);
        }
        return true;
    }
    [[nodiscard]] const std::string& socket() const { return socket_; }

private:
    std::string socket_;
    pid_t pid_;
};

// KVM's part: what the other process signals is an interrupt.
struct Irqfd final : host::EventHandler {
    Irqfd(const host::EventFd& source, machine::IrqLine& target) : event{source}, irq{target} {}
    void on_events(std::uint32_t) noexcept override {
        event.drain();
        irq.raise();
    }
    const host::EventFd& event;
    machine::IrqLine& irq;
};

struct VhostFixture : BlockDriver {
    explicit VhostFixture(bool writable = true) : daemon{image.path(), writable} {
        image.fill(0, image_bytes, std::byte{0x42});
        if (!daemon.await()) {
            MESSAGE("skipped: there is no qemu-storage-daemon");
            return;
        }
        device.emplace(VhostUserBlockConfig{daemon.socket(), CacheType::writeback}, memory,
                       reactor);
        attach(*device);
        irqfd.emplace(*device->used_event(), irq);
        reactor.add(irqfd->event.fd(), EPOLLIN, *irqfd);
    }
    ~VhostFixture() {
        if (irqfd) {
            reactor.remove(irqfd->event.fd(), *irqfd);
        }
    }
    VhostFixture(const VhostFixture&) = delete;
    VhostFixture& operator=(const VhostFixture&) = delete;
    [[nodiscard]] std::uint32_t interrupt_status() const {
        return driver->read(TestDriver::Register::interrupt_status);
    }
    [[nodiscard]] bool is_skipped() const { return !device; }
    void start() { BlockDriver::start(device->features()); }

    StorageDaemon daemon;
    std::optional<VhostUserBlock> device;
    std::optional<Irqfd> irqfd;
};

// A backend that answers the first request with these words and then hangs up.
class OddBackend {
public:
    explicit OddBackend(std::vector<std::uint32_t> words)
        : listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::ranges::copy(path_, address.sun_path);
        REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address),
                       sizeof address) == 0);
        REQUIRE(::listen(listener_.get(), 1) == 0);
        thread_ = std::jthread{[this, words = std::move(words)] {
            const host::UniqueFd client{::accept(listener_.get(), nullptr, nullptr)};
            std::array<std::byte, 12> request{};
            static_cast<void>(::recv(client.get(), request.data(), request.size(), MSG_WAITALL));
            ::send(client.get(), words.data(), words.size() * 4, MSG_NOSIGNAL);
        }};
    }
    ~OddBackend() { ::unlink(path_.c_str()); }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    const backend::TemporaryImage file_{0};
    const std::string path_ = file_.path() + ".socket";
    host::UniqueFd listener_;
    std::jthread thread_;
};

std::string error_of(const std::string& socket) {
    const machine::GuestMemory memory{BlockDriver::memory_bytes};
    host::Reactor reactor;
    try {
        const VhostUserBlock device{{.socket = socket}, memory, reactor};
    } catch (const std::exception& error) {
        return error.what();
    }
    return {};
}

std::string error_of_answer(std::vector<std::uint32_t> words) {
    const OddBackend backend{std::move(words)};
    return error_of(backend.path());
}

}  // namespace

TEST_CASE("another process serves the disk") {
    VhostFixture f;
    if (f.is_skipped()) {
        return;
    }
    CHECK(f.driver->read_at<std::uint64_t>(0x100) == BlockDriver::image_bytes / 512);
    f.start();
    CHECK(f.run(Type::in, 8, 4096) == Answer::ok);
    CHECK(f.data_of(f.last_number, 1).front() == std::byte{0x42});
    CHECK(f.write(16, std::vector<std::byte>(8192, std::byte{0x17})) == Answer::ok);
    CHECK(f.run(Type::flush, 0, 0) == Answer::ok);
    CHECK(f.image.read(8192, 8192) == std::vector<std::byte>(8192, std::byte{0x17}));
    CHECK(f.run_range(Type::write_zeroes, {0, 8, 0}) == Answer::ok);
    CHECK(f.image.byte_at(0) == std::byte{0});
    CHECK(f.run(Type::in, BlockDriver::image_bytes / 512, 512) == Answer::io_error);
    CHECK(f.irq.take() > 0);
}

TEST_CASE(
    "whenever the driver of an active disk asks why it was interrupted, buffers may be used") {
    using abi::virtio::interrupt::configuration_change;
    using abi::virtio::interrupt::used_buffer;
    VhostFixture f;
    if (f.is_skipped()) {
        return;
    }
    CHECK(f.interrupt_status() == 0);
    f.start();
    CHECK(f.run(Type::in, 0, 512) == Answer::ok);
    CHECK(f.interrupt_status() == used_buffer);
    f.driver->write(TestDriver::Register::interrupt_acknowledge, used_buffer);
    CHECK(f.interrupt_status() == used_buffer);
    f.device->update_config();
    CHECK(f.interrupt_status() == (used_buffer | configuration_change));
    f.driver->write(TestDriver::Register::interrupt_acknowledge, configuration_change);
    CHECK(f.interrupt_status() == used_buffer);
    f.driver->set_status(Status::reset);
    CHECK(f.interrupt_status() == 0);
    f.start();
    f.daemon.end();
    f.reactor.dispatch(1000);
    CHECK(f.needs_reset());
    CHECK(f.interrupt_status() == configuration_change);
}

TEST_CASE("a read-only export is a read-only disk") {
    VhostFixture f{false};
    if (f.is_skipped()) {
        return;
    }
    CHECK((f.device->features() & abi::virtio::block::feature_read_only) != 0);
    f.start();
    CHECK(f.run(Type::in, 0, 4096) == Answer::ok);
}

TEST_CASE("after a reset the other process leaves guest memory alone, and serves it again later") {
    VhostFixture f;
    if (f.is_skipped()) {
        return;
    }
    for (int round = 0; round < 10; ++round) {
        f.start();
        for (std::uint64_t count = 0; count < 50; ++count) {
            f.offer(Type::in, 8 * count, 32768);
        }
        f.driver->write(TestDriver::Register::queue_notify, 0);
        static_cast<void>(f.driver->serve_notification());
        f.driver->set_status(Status::reset);
        const auto memory = f.memory.slice(machine::Gpa{0}, BlockDriver::memory_bytes).value();
        std::ranges::fill(memory, BlockDriver::untouched);
        f.serve();
        CHECK(std::ranges::all_of(memory, [](std::byte b) { return b == BlockDriver::untouched; }));
    }
    f.start();
    CHECK(f.run(Type::in, 0, 512) == Answer::ok);
    CHECK(f.device->metrics().activate_fails == 0);
}

TEST_CASE("a stopped queue is none of the other process\' any more, until it is set up anew") {
    VhostFixture f;
    if (f.is_skipped()) {
        return;
    }
    f.start();
    for (std::uint64_t count = 0; count < 50; ++count) {
        f.offer(Type::in, 8 * count, 32768);
    }
    f.driver->write(TestDriver::Register::queue_notify, 0);
    CHECK(f.driver->stop_queue(0));
    const auto memory = f.memory.slice(machine::Gpa{0}, BlockDriver::memory_bytes).value();
    std::ranges::fill(memory, std::byte{0});
    f.driver->write(TestDriver::Register::queue_notify, 0);
    f.serve();
    CHECK(std::ranges::all_of(memory, [](std::byte b) { return b == std::byte{0}; }));
    CHECK_FALSE(f.needs_reset());

    f.ring = TestRing{f.memory, BlockDriver::ring_at, BlockDriver::queue_size};
    f.driver->set_up_queue(0, f.ring.layout());
    CHECK(f.run(Type::in, 8, 4096) == Answer::ok);
    CHECK(f.device->metrics().activate_fails == 0);
}

TEST_CASE("when the other process is gone the device fails, and so does the next start") {
    VhostFixture f;
    if (f.is_skipped()) {
        return;
    }
    f.start();
    CHECK(f.run(Type::in, 0, 512) == Answer::ok);
    f.daemon.end();
    while (!f.needs_reset()) {
        REQUIRE(f.reactor.dispatch(10'000));
    }
    CHECK(f.transport->last_error() == QueueError::backend_lost);
    CHECK_FALSE(f.reactor.dispatch(0));
    CHECK_THROWS_AS(f.device->update_config(), std::system_error);
    f.driver->reset_to_driver();
    f.driver->choose_features(abi::virtio::feature::version_1);
    f.driver->set_up_queue(0, f.ring.layout());
    f.driver->set_status(Status::driver_ok);
    CHECK(f.needs_reset());
    CHECK(f.device->metrics().activate_fails == 1);
    CHECK(f.device->metrics().event_fails == 1);
    CHECK(f.device->metrics().cfg_fails == 1);
}

TEST_CASE("the configuration can be read again") {
    VhostFixture f;
    if (f.is_skipped()) {
        return;
    }
    f.start();
    f.irq.take();
    f.device->update_config();
    CHECK(f.irq.take() == 1);
    CHECK(f.driver->read(TestDriver::Register::config_generation) == 1);
    CHECK(f.device->metrics().update_count == 1);
}

TEST_CASE("a backend that is none is refused with the socket's path") {
    const backend::TemporaryImage file{0};
    SUBCASE("nobody is there") {
        CHECK(error_of("/tmp/shoal-no-such-socket").find("/tmp/shoal-no-such-socket") !=
              std::string::npos);
    }
    SUBCASE("it is a file") {
        CHECK(error_of(file.path()).find(file.path()) != std::string::npos);
    }
    SUBCASE("the path is too long") {
        CHECK(error_of(std::string(108, 'x')).find("longer than 107 bytes") != std::string::npos);
    }
    SUBCASE("it hangs up at once") {
        CHECK(error_of_answer({}).find("vhost-user backend at") != std::string::npos);
    }
    SUBCASE("it hangs up in the middle of an answer") {
        CHECK(error_of_answer({1, 5, 8, 0}).find("reset by peer") != std::string::npos);
    }
    SUBCASE("it answers something else") {
        CHECK(error_of_answer({2, 5, 8, 0, 0}).find("Protocol error") != std::string::npos);
        CHECK(error_of_answer({1, 1, 8, 0, 0}).find("Protocol error") != std::string::npos);
    }
    SUBCASE("it answers too much or too little") {
        CHECK(error_of_answer({1, 5, 0xFFFF'FFFF}).find("Protocol error") != std::string::npos);
        CHECK(error_of_answer({1, 5, 4, 0}).find("Protocol error") != std::string::npos);
    }
    SUBCASE("it has no configuration") {
        CHECK(error_of_answer({1, 5, 8, 0, 0}).find("no device configuration") !=
              std::string::npos);
    }
}

}  // namespace shoal::virtio
