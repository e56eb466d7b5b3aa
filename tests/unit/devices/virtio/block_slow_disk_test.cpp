// The block device on a disk that takes its time.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <vector>

#include "devices/host/event_fd.h"
#include "tests/unit/devices/virtio/block_fixture.h"

namespace shoal::virtio {
namespace {

using namespace std::chrono_literals;
using Type = BlockDriver::Type;
using Answer = BlockDriver::Answer;

BlockConfig config_of(const std::string& path) {
    BlockConfig config;
    config.disk.path = path;
    return config;
}

// Requests are finished when the test says so, from any thread.
class SlowDisk final : public backend::DiskEngine {
public:
    explicit SlowDisk(const std::string& path) : DiskEngine{backend::Disk{config_of(path).disk}} {}

    // Those that are not finished.
    [[nodiscard]] const std::vector<backend::DiskRequest*>& started() const { return started_; }

    void finish_all() {
        may_finish_ = true;
        event_.signal();
    }

    [[nodiscard]] backend::DiskIo io() const noexcept override { return backend::DiskIo::async; }
    void start(backend::DiskRequest& request) noexcept override { started_.push_back(&request); }
    [[nodiscard]] bool submit() noexcept override { return true; }
    void wait() noexcept override {}
    [[nodiscard]] int fd() const noexcept override { return event_.fd(); }

private:
    void collect() noexcept override {
        if (may_finish_.exchange(false)) {
            event_.drain();
            for (backend::DiskRequest* const request : std::exchange(started_, {})) {
                request->error = 0;
                add_finished(*request);
            }
        }
    }

    host::EventFd event_;
    std::atomic<bool> may_finish_ = false;
    std::vector<backend::DiskRequest*> started_;
};

struct SlowDiskFixture : BlockDriver {
    SlowDiskFixture() {
        auto engine = std::make_unique<SlowDisk>(image.path());
        disk = engine.get();
        BlockConfig config = config_of(image.path());
        config.cache = CacheType::writeback;
        device.emplace(config, std::move(engine), reactor);
        attach(*device);
        start(device->features());
        offer(Type::in, 0, 512);
        driver->write(TestDriver::Register::queue_notify, 0);
        serve();
    }

    ~SlowDiskFixture() { disk->finish_all(); }  // the device waits for it

    SlowDisk* disk = nullptr;
    std::optional<Block> device;
};

}  // namespace

TEST_CASE("a reset waits for what is in flight, and only the driver waits") {
    SlowDiskFixture f;
    auto reset = std::async(std::launch::async, [&] { f.driver->set_status(Status::reset); });
    auto others = std::async(std::launch::async, [&] {
        while (f.driver->status() != 0) {
        }
        f.transport->process_queues();
        static_cast<void>(f.device->config());
        static_cast<void>(f.device->metrics());
    });
    REQUIRE(others.wait_for(10s) == std::future_status::ready);
    CHECK(reset.wait_for(20ms) == std::future_status::timeout);
    SUBCASE("the event loop finishes it") {
        f.disk->finish_all();
        f.reactor.dispatch(10'000);
        CHECK(reset.wait_for(10s) == std::future_status::ready);
    }
    SUBCASE("it finishes while the event loop stands still") {
        f.disk->finish_all();
        CHECK(reset.wait_for(10s) == std::future_status::ready);
    }
    CHECK(f.ring.used_idx() == 0);
    CHECK(f.status(0) == Answer{0xEE});
}

TEST_CASE("a queue that is stopped waits for what is in flight, and only the driver waits") {
    SlowDiskFixture f;
    auto stop = std::async(std::launch::async, [&] { return f.driver->stop_queue(0); });
    while (f.driver->read(TestDriver::Register::queue_ready) != 0) {
    }
    f.transport->process_queues();
    static_cast<void>(f.device->metrics());
    CHECK(stop.wait_for(20ms) == std::future_status::timeout);
    f.disk->finish_all();
    REQUIRE(stop.wait_for(10s) == std::future_status::ready);
    CHECK(stop.get());
    CHECK(f.ring.used_idx() == 0);
    CHECK(f.status(0) == Answer{0xEE});
    SUBCASE("and it may begin again") {
        std::ranges::fill(f.memory.slice(machine::Gpa{f.ring_at}, 0x2000).value(), std::byte{0});
        f.ring = TestRing{f.memory, f.ring_at, f.queue_size};
        f.driver->set_up_queue(0, f.ring.layout());
        f.offer(Type::in, 0, 512);
        f.driver->write(TestDriver::Register::queue_notify, 0);
        f.serve();
        f.disk->finish_all();
        f.await(1);
        CHECK(f.status(1) == Answer::ok);
    }
    SUBCASE("and nothing is served before") {
        f.offer(Type::in, 0, 512);
        f.driver->write(TestDriver::Register::queue_notify, 0);
        f.serve();
        CHECK(f.disk->started().empty());
        CHECK(f.device->save().capacity_sectors == f.image_bytes / 512);
        f.driver->set_status(Status::reset);
    }
}

TEST_CASE("what was in flight at a reset is not the next driver's answer") {
    SlowDiskFixture f;
    {
        const std::scoped_lock lock{f.device->mutex()};
        f.device->reset();
    }
    f.disk->finish_all();
    f.start(f.device->features());
    f.serve();
    CHECK(f.ring.used_idx() == 0);
    f.offer(Type::in, 0, 512);
    f.driver->write(TestDriver::Register::queue_notify, 0);
    f.serve();
    f.disk->finish_all();
    f.await(1);
    CHECK(f.status(0) == Answer::ok);
}

TEST_CASE("a vCPU that is stopped with the device's mutex held does not stop the event loop") {
    SlowDiskFixture f;
    std::promise<void> held;
    std::promise<void> may_go;
    auto vcpu = std::async(std::launch::async, [&] {
        const std::scoped_lock lock{f.device->mutex()};
        held.set_value();
        may_go.get_future().wait();
    });
    held.get_future().wait();
    f.disk->finish_all();
    CHECK(f.reactor.dispatch(10'000));
    CHECK(f.ring.used_idx() == 0);
    may_go.set_value();
    vcpu.wait();
    CHECK(f.reactor.dispatch(10'000));
    CHECK(f.ring.used_idx() == 1);
}

TEST_CASE("a malformed queue does not wait for what is in flight") {
    SlowDiskFixture f;
    f.ring.offer(BlockDriver::queue_size);
    f.driver->write(TestDriver::Register::queue_notify, 0);
    f.serve();
    CHECK(f.needs_reset());
    f.disk->finish_all();
    f.driver->set_status(Status::reset);
    CHECK(f.ring.used_idx() == 0);
}

TEST_CASE("what a driver without flushes discards or zeroes is durable once it is answered") {
    using Afterwards = backend::DiskRequest::Afterwards;
    SlowDiskFixture f;
    f.disk->finish_all();
    f.serve();
    const auto afterwards = [&](Type type, std::uint64_t features) {
        f.start(features);
        const abi::virtio::block::Range range{0, 8, 0};
        f.put_next_data(std::as_bytes(std::span{&range, 1}));
        f.offer(type, 0, sizeof range);
        f.driver->write(TestDriver::Register::queue_notify, 0);
        f.serve();
        REQUIRE(f.disk->started().size() == 1);
        const Afterwards found = f.disk->started().front()->afterwards;
        f.disk->finish_all();
        f.await(1);
        return found;
    };
    const std::uint64_t all = f.device->features();
    for (const Type type : {Type::discard, Type::write_zeroes}) {
        CHECK(afterwards(type, all) == Afterwards::nothing);
        CHECK(afterwards(type, all & ~abi::virtio::block::feature_flush) == Afterwards::flush);
    }
}

}  // namespace shoal::virtio
