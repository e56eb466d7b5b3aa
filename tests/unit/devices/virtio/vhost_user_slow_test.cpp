// A vhost-user backend that takes its time: whoever activates or resets the disk waits for it, up
// to a limit, and the event loop does not.
#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include "devices/virtio/vhost_user_block.h"
#include "tests/unit/devices/virtio/block_fixture.h"
#include "tests/unit/devices/virtio/slow_backend.h"

namespace shoal::virtio {
namespace {

using Clock = std::chrono::steady_clock;

struct SlowFixture : BlockDriver {
    explicit SlowFixture(std::uint32_t slow_request)
        : backend{slow_request}, device{{.socket = backend.path()}, memory, reactor} {
        attach(device);
    }
    // What a vCPU does up to DRIVER_OK.
    void set_up() {
        std::ranges::fill(memory.slice(machine::Gpa{ring_at}, 0x2000).value(), std::byte{0});
        ring = TestRing{memory, ring_at, queue_size};
        driver->reset_to_driver();
        driver->choose_features(device.features() | abi::virtio::feature::version_1);
        driver->set_up_queue(0, ring.layout());
    }
    // What the event loop and the API do: it needs the device's mutex.
    void look() {
        transport->process_queues();
        static_cast<void>(device.metrics());
        while (reactor.dispatch(0)) {
        }
    }
    [[nodiscard]] std::string error_of_update() {
        try {
            device.update_config();
        } catch (const std::system_error& error) {
            return error.what();
        }
        return {};
    }

    SlowBackend backend;
    VhostUserBlock device;
};

constexpr std::chrono::milliseconds time_limit{backend::VhostUserChannel::time_limit_ms};

}  // namespace

TEST_CASE("while a slow backend is told of an activation nobody else waits") {
    SlowFixture f{SlowBackend::set_mem_table};
    f.set_up();
    std::jthread vcpu{[&f] { f.driver->set_status(Status::driver_ok); }};
    f.backend.wait_until_asked();
    f.look();
    CHECK(f.error_of_update().find("busy") != std::string::npos);
    f.backend.answer_now();
    vcpu.join();
    f.look();
    CHECK_FALSE(f.needs_reset());
    CHECK(f.device.metrics().activate_fails == 0);
    CHECK(f.device.metrics().activate_time_us > 0);
    CHECK(f.error_of_update().empty());
}

TEST_CASE("a reset by another vCPU meanwhile waits for the backend, and stops it") {
    SlowFixture f{SlowBackend::set_mem_table};
    f.set_up();
    std::jthread vcpu{[&f] { f.driver->set_status(Status::driver_ok); }};
    f.backend.wait_until_asked();
    std::jthread other{[&f] { f.driver->set_status(Status::reset); }};
    // Its register says so before the backend knows.
    while (f.driver->status() != 0) {
        std::this_thread::yield();
    }
    f.look();
    f.backend.answer_now();
    vcpu.join();
    other.join();
    CHECK(f.device.metrics().activate_fails == 0);
    f.set_up();
    f.driver->set_status(Status::driver_ok);
    CHECK_FALSE(f.needs_reset());
}

TEST_CASE("a queue that another vCPU stops while a slow backend is told of it is stopped") {
    SlowFixture f{SlowBackend::set_mem_table};
    f.set_up();
    std::jthread vcpu{[&f] { f.driver->set_status(Status::driver_ok); }};
    f.backend.wait_until_asked();
    std::jthread other{[&f] { static_cast<void>(f.driver->stop_queue(0)); }};
    while (f.driver->read(TestDriver::Register::queue_ready) != 0) {
        std::this_thread::yield();
    }
    f.look();
    f.backend.answer_now();
    vcpu.join();
    other.join();
    f.driver->set_up_queue(0, f.ring.layout());
    CHECK(f.driver->read(TestDriver::Register::queue_ready) == 1);
    CHECK_FALSE(f.needs_reset());
    CHECK(f.device.metrics().activate_fails == 0);
}

TEST_CASE("a backend that does not answer in time is given up, and the device fails") {
    SlowFixture f{SlowBackend::set_mem_table};
    f.set_up();
    const auto begin = Clock::now();
    f.driver->set_status(Status::driver_ok);
    const auto took = Clock::now() - begin;
    CHECK(took >= time_limit - std::chrono::milliseconds{1});
    CHECK(took < 5 * time_limit);
    CHECK(f.needs_reset());
    CHECK(f.transport->last_error() == QueueError::backend_lost);
    CHECK(f.device.metrics().activate_fails == 1);
    f.backend.answer_now();
    f.look();
    f.driver->set_status(Status::reset);  // asks nobody
}

TEST_CASE("a backend that does not stop in time is given up") {
    SlowFixture f{SlowBackend::get_vring_base};
    f.set_up();
    f.driver->set_status(Status::driver_ok);
    std::jthread vcpu{[&f] { f.driver->set_status(Status::reset); }};
    f.backend.wait_until_asked();
    f.look();  // at once
    vcpu.join();
    CHECK(f.driver->status() == 0);
}

TEST_CASE("a backend that does not answer about its configuration is refused with the limit") {
    const machine::GuestMemory memory{BlockDriver::memory_bytes};
    host::Reactor reactor;
    SlowBackend backend{SlowBackend::get_config};
    std::string error;
    try {
        const VhostUserBlock device{{.socket = backend.path()}, memory, reactor};
    } catch (const std::system_error& caught) {
        error = caught.what();
    }
    CHECK(error == "reading the disk's configuration from " + backend.path() +
                       " within 1000 ms: Connection timed out");
}

}  // namespace shoal::virtio
