// virtio-mmio's registers: negotiation, queue set-up, interrupts, trouble, resets.
#include "devices/virtio/mmio_transport.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "tests/unit/devices/host/recording_sink.h"
#include "tests/unit/devices/virtio/counting_irq.h"
#include "tests/unit/devices/virtio/test_driver.h"
#include "tests/unit/devices/virtio/test_ring.h"

namespace shoal::virtio {
namespace {

using Register = TestDriver::Register;
namespace bits = abi::virtio::status;
namespace feature = abi::virtio::feature;

constexpr std::uint64_t own_feature = 1ULL << 5;
constexpr std::uint16_t size = 8;

// Gives every chain back at once.
class EchoDevice final : public Device {
public:
    [[nodiscard]] std::uint32_t device_id() const noexcept override { return 42; }
    [[nodiscard]] std::uint64_t features() const noexcept override { return own_feature; }
    [[nodiscard]] std::uint32_t queue_count() const noexcept override { return 2; }
    [[nodiscard]] std::uint32_t queue_size_max() const noexcept override { return size; }
    void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override {
        std::ranges::fill(data, static_cast<std::byte>(offset));
    }
    void write_config(std::uint64_t offset, std::span<const std::byte>) noexcept override {
        config_written = offset;
    }
    void activate(std::uint64_t features, std::span<Queue> queues,
                  Transport& transport) noexcept override {
        negotiated = features;
        queues_ = queues;
        transport_ = &transport;
    }
    void stop_queue(std::uint32_t idx) noexcept override { stopped.push_back(idx); }
    void start_queue(std::uint32_t idx) noexcept override { started.push_back(idx); }
    void complete_activation() noexcept override { ++completions; }
    void drain() noexcept override { ++drains; }
    void reset() noexcept override {
        queues_ = {};
        transport_ = nullptr;
        ++resets;
    }
    void process() noexcept override {
        ++turns;
        for (Queue& queue : queues_) {
            const auto chain = queue.pop();
            if (!chain) {
                Transport& transport = *transport_;
                reset();
                transport.fail(chain.error());
                return;
            }
            if (*chain) {
                queue.push_used((*chain)->head, 0);
                transport_->used_buffers(queue);
                transport_->process_again();
            }
        }
    }
    void change_config() noexcept { transport_->config_changed(); }
    [[nodiscard]] bool is_active() const { return transport_ != nullptr; }

    std::uint64_t negotiated = 0;
    std::uint64_t config_written = 0;
    int resets = 0;
    int turns = 0;
    int completions = 0;
    int drains = 0;
    std::vector<std::uint32_t> stopped;
    std::vector<std::uint32_t> started;

private:
    std::span<Queue> queues_;
    Transport* transport_ = nullptr;
};

struct Fixture {
    void start(std::uint64_t features = feature::version_1) {
        driver.reset_to_driver();
        driver.choose_features(features);
        driver.set_up_queue(0, ring.layout());
        driver.set_status(Status::driver_ok);
        driver.serve_notification();
    }

    machine::GuestMemory memory{1 << 20};
    EchoDevice device;
    CountingIrq irq;
    MmioTransport transport{device, memory, irq};
    TestDriver driver{transport};
    TestRing ring{memory, 0x10000, size};
};

TEST_CASE("the registers say what the device is") {
    const Fixture f;
    CHECK(f.driver.read(Register::magic) == abi::virtio::mmio_magic);
    CHECK(f.driver.read(Register::version) == 2);
    CHECK(f.driver.read(Register::device_id) == 42);
    CHECK(f.driver.read(Register::queue_size_max) == size);
    CHECK(f.driver.status() == 0);
    f.driver.write(Register::queue_select, 1);
    CHECK(f.driver.read(Register::queue_size_max) == size);
}

TEST_CASE("features are offered in windows of 32 bits") {
    const Fixture f;
    CHECK(f.driver.read(Register::device_features) ==
          (own_feature | feature::event_idx | feature::indirect_desc));
    f.driver.write(Register::device_features_select, 1);
    CHECK(f.driver.read(Register::device_features) ==
          (feature::version_1 | feature::ring_reset) >> 32);
    SUBCASE("and there is nothing further up") {
        f.driver.write(Register::device_features_select, 2);
        CHECK(f.driver.read(Register::device_features) == 0);
        f.driver.write(Register::device_features_select, 0xFFFF'FFFF);
        CHECK(f.driver.read(Register::device_features) == 0);
    }
}

TEST_CASE("accesses of other widths and to no register read 0 and change nothing") {
    const Fixture f;
    CHECK(f.driver.read_at<std::uint8_t>(0) == 0);
    CHECK(f.driver.read_at<std::uint16_t>(0) == 0);
    CHECK(f.driver.read_at<std::uint64_t>(0) == 0);
    CHECK(f.driver.read_at<std::uint32_t>(2) == 0);
    CHECK(f.driver.read_at<std::uint32_t>(0x0C0) == 0);
    CHECK(f.driver.read(Register::queue_notify) == 0);
    const auto status = static_cast<std::uint64_t>(Register::status);
    f.driver.write_at<std::uint8_t>(status, 1);
    f.driver.write_at<std::uint64_t>(status, 1);
    f.driver.write_at<std::uint32_t>(0x0C0, 1);
    f.driver.write(Register::magic, 0);
    CHECK(f.driver.status() == 0);
}

TEST_CASE("the configuration is the device's, in any width") {
    const Fixture f;
    CHECK(f.driver.read_at<std::uint8_t>(0x107) == 7);
    CHECK(f.driver.read_at<std::uint64_t>(0x101) == 0x0101'0101'0101'0101);
    f.driver.write_at<std::uint16_t>(0x1FE, 0);
    CHECK(f.device.config_written == 0xFE);
}

TEST_CASE("features are accepted with version 1 and among those offered only") {
    Fixture f;
    f.driver.reset_to_driver();
    SUBCASE("all") {
        f.driver.choose_features(feature::version_1 | own_feature | feature::event_idx);
        CHECK(f.driver.status() == static_cast<std::uint32_t>(Status::features_ok));
        SUBCASE("and they do not change afterwards") {
            f.driver.write(Register::driver_features, 0);
            f.driver.set_status(Status::driver_ok);
            CHECK(f.device.negotiated == (feature::version_1 | own_feature | feature::event_idx));
        }
    }
    SUBCASE("without version 1") {
        f.driver.choose_features(own_feature);
        CHECK(f.driver.status() == static_cast<std::uint32_t>(Status::driver));
        f.driver.set_status(Status::driver_ok);
        CHECK_FALSE(f.device.is_active());
    }
    SUBCASE("with one that was not offered") {
        f.driver.choose_features(feature::version_1 | 2);
        CHECK(f.driver.status() == static_cast<std::uint32_t>(Status::driver));
    }
    SUBCASE("with one beyond bit 63, which does not exist") {
        f.driver.write(Register::driver_features_select, 2);
        f.driver.write(Register::driver_features, 0xFFFF'FFFF);
        f.driver.choose_features(feature::version_1);
        CHECK(f.driver.status() == static_cast<std::uint32_t>(Status::features_ok));
    }
}

TEST_CASE("steps that the table does not have are ignored") {
    Fixture f;
    f.driver.set_status(Status::driver);
    CHECK(f.driver.status() == 0);
    f.driver.set_status(Status::driver_ok);
    CHECK(f.driver.status() == 0);
    f.driver.write(Register::status, 0x100);
    CHECK(f.driver.status() == 0);
    f.start();
    f.driver.set_status(Status::features_ok);
    CHECK(f.driver.status() == static_cast<std::uint32_t>(Status::driver_ok));
}

TEST_CASE("a queue can be set up between features and driver_ok") {
    Fixture f;
    const auto is_ready = [&f] { return f.driver.read(Register::queue_ready) == 1; };
    SUBCASE("not before") {
        f.driver.reset_to_driver();
        f.driver.set_up_queue(0, f.ring.layout());
        CHECK_FALSE(is_ready());
    }
    SUBCASE("not after") {
        f.start();
        f.driver.set_up_queue(1, f.ring.layout());
        CHECK_FALSE(is_ready());
    }
    SUBCASE("in between") {
        f.driver.reset_to_driver();
        f.driver.choose_features(feature::version_1);
        f.driver.set_up_queue(1, f.ring.layout());
        CHECK(is_ready());
        SUBCASE("and taken back") {
            f.driver.write(Register::queue_ready, 0);
            CHECK_FALSE(is_ready());
        }
        SUBCASE("and not moved while it is ready") {
            f.driver.write(Register::queue_size, 3);
            f.driver.write(Register::queue_ready, 1);
            CHECK(is_ready());
        }
    }
    SUBCASE("not a bad one") {
        f.driver.reset_to_driver();
        f.driver.choose_features(feature::version_1);
        QueueLayout layout = f.ring.layout();
        layout.size = size + 1;
        f.driver.set_up_queue(0, layout);
        CHECK_FALSE(is_ready());
        CHECK(f.transport.last_error() == QueueError::bad_size);
        layout = f.ring.layout();
        layout.used = machine::Gpa{1ULL << 40};
        f.driver.set_up_queue(0, layout);
        CHECK_FALSE(is_ready());
        CHECK(f.transport.last_error() == QueueError::ring_outside_memory);
    }
    SUBCASE("not one that does not exist") {
        f.driver.reset_to_driver();
        f.driver.choose_features(feature::version_1);
        for (const std::uint32_t idx : {2U, 0xFFFF'FFFFU}) {
            f.driver.set_up_queue(idx, f.ring.layout());
            CHECK(f.driver.read(Register::queue_size_max) == 0);
            CHECK_FALSE(is_ready());
            f.driver.write(Register::queue_ready, 0);
        }
    }
}

TEST_CASE("many registers are written by one access") {
    Fixture f;
    constexpr machine::Gpa at{0x2000};
    abi::virtio::MmioWrites writes{};
    const auto add = [&](Register which, std::uint32_t value) {
        writes.writes.at(writes.count++) = {static_cast<std::uint32_t>(which), value};
    };
    const auto send = [&](machine::Gpa where) {
        f.driver.write(
            Register::shoal_writes,
            static_cast<std::uint32_t>(where.value() / abi::virtio::mmio_writes_alignment));
    };
    SUBCASE("from the reset to driver_ok, in order") {
        f.driver.set_status(Status::acknowledge);
        for (const std::uint32_t status :
             {0U, bits::acknowledge, bits::acknowledge | bits::driver}) {
            add(Register::status, status);
        }
        add(Register::driver_features_select, 1);
        add(Register::driver_features, static_cast<std::uint32_t>(feature::version_1 >> 32));
        add(Register::status, bits::acknowledge | bits::driver | bits::features_ok);
        add(Register::queue_size, size);
        add(Register::queue_descriptors_low,
            static_cast<std::uint32_t>(f.ring.layout().descriptors.value()));
        add(Register::queue_driver_low, static_cast<std::uint32_t>(f.ring.layout().avail.value()));
        add(Register::queue_device_low, static_cast<std::uint32_t>(f.ring.layout().used.value()));
        add(Register::queue_ready, 1);
        add(Register::status,
            bits::acknowledge | bits::driver | bits::features_ok | bits::driver_ok);
        CHECK(f.memory.write(at, writes));
        send(at);
        CHECK(f.device.is_active());
        CHECK(f.device.negotiated == feature::version_1);
        CHECK(f.driver.read(Register::queue_ready) == 1);
    }
    SUBCASE("the configuration, but nothing behind it, and none by none") {
        writes.writes.at(0) = {static_cast<std::uint32_t>(Register::config) + 8, 1};
        writes.writes.at(1) = {MmioTransport::size_bytes - 3, 1};
        writes.writes.at(2) = {0xFFFF'FFFF, 1};
        writes.count = 3;
        CHECK(f.memory.write(at, writes));
        send(at);
        CHECK(f.device.config_written == 8);
        f.device.config_written = 0;
        writes.count = 0;
        CHECK(f.memory.write(at, writes));
        send(at);
        CHECK(f.device.config_written == 0);
    }
    SUBCASE("as many as there is room for, and not one more") {
        writes.writes.fill({static_cast<std::uint32_t>(Register::config), 1});
        writes.writes.back().offset += 4;
        writes.count = writes.writes.size();
        CHECK(f.memory.write(at, writes));
        send(at);
        CHECK(f.device.config_written == 4);
        f.device.config_written = 0;
        for (const std::uint32_t count : {writes.count + 1, 0xFFFF'FFFFU}) {
            writes.count = count;
            CHECK(f.memory.write(at, writes));
            send(at);
        }
        CHECK(f.device.config_written == 0);
    }
    SUBCASE("not themselves") {
        add(Register::shoal_writes, static_cast<std::uint32_t>(at.value() / 64));
        add(Register::config, 1);
        CHECK(f.memory.write(at, writes));
        send(at);
        CHECK(f.driver.read(Register::shoal_writes) == 0);
    }
    SUBCASE("not from outside memory") {
        for (const std::uint64_t where : {(1ULL << 20) - 64, 1ULL << 20, 0xFFFF'FFFFULL * 64}) {
            send(machine::Gpa{where});
        }
        CHECK(f.device.config_written == 0);
        CHECK(f.driver.status() == 0);
    }
}

TEST_CASE("buffers that were there before driver_ok need no notification") {
    Fixture f;
    f.ring.offer_buffer(0, 0x40000, 1, 0);
    f.start();
    CHECK(f.ring.used_idx() == 1);
    CHECK(f.irq.take() == 1);
}

TEST_CASE("a notification processes the queues and used buffers interrupt") {
    Fixture f;
    f.start();
    for (std::uint16_t i = 0; i < size; ++i) {
        f.ring.offer_buffer(i, 0x40000, 1, 0);
    }
    f.driver.notify(0xFFFF'FFFF);
    CHECK(f.ring.used_idx() == size);
    CHECK(f.irq.take() == size);
    CHECK(f.driver.read(Register::interrupt_status) == abi::virtio::interrupt::used_buffer);
    SUBCASE("acknowledging clears what it names") {
        f.driver.write(Register::interrupt_acknowledge, 2);
        CHECK(f.driver.read(Register::interrupt_status) == 1);
        f.driver.write(Register::interrupt_acknowledge, 0xFFFF'FFFF);
        CHECK(f.driver.read(Register::interrupt_status) == 0);
    }
    SUBCASE("unless the driver does not want to know") {
        f.driver.write(Register::interrupt_acknowledge, 1);
        f.ring.set_avail_flags(abi::virtio::avail_no_interrupt);
        f.ring.offer_buffer(0, 0x40000, 1, 0);
        f.driver.notify(0);
        CHECK(f.ring.used_idx() == size + 1);
        CHECK(f.irq.take() == 0);
        CHECK(f.driver.read(Register::interrupt_status) == 0);
    }
}

TEST_CASE("nothing is processed before driver_ok") {
    Fixture f;
    f.driver.reset_to_driver();
    f.driver.choose_features(feature::version_1);
    f.driver.set_up_queue(0, f.ring.layout());
    f.driver.notify(0);
    CHECK(f.device.turns == 0);
}

TEST_CASE("a changed configuration has a new generation and interrupts") {
    Fixture f;
    f.start();
    const std::uint32_t before = f.driver.read(Register::config_generation);
    f.device.change_config();
    CHECK(f.driver.read(Register::config_generation) == before + 1);
    CHECK(f.driver.read(Register::interrupt_status) ==
          abi::virtio::interrupt::configuration_change);
    CHECK(f.irq.take() == 1);
}

TEST_CASE("after a malformed queue the device stands still until it is reset") {
    Fixture f;
    f.start();
    f.ring.set_avail_idx(0x1000);
    f.driver.notify(0);
    constexpr std::uint32_t broken =
        static_cast<std::uint32_t>(Status::driver_ok) | bits::device_needs_reset;
    CHECK(f.driver.status() == broken);
    CHECK(f.driver.read(Register::interrupt_status) ==
          abi::virtio::interrupt::configuration_change);
    CHECK(f.irq.take() == 1);
    CHECK(f.transport.last_error() == QueueError::avail_index_jumped);

    const int turns = f.device.turns;
    f.ring.set_avail_idx(0);
    f.driver.notify(0);
    CHECK(f.device.turns == turns);
    f.driver.write(Register::status, broken);
    CHECK(f.driver.status() == broken);

    f.ring = TestRing{f.memory, 0x30000, size};
    f.start();
    CHECK(f.driver.status() == static_cast<std::uint32_t>(Status::driver_ok));
    f.ring.offer_buffer(0, 0x40000, 1, 0);
    f.driver.notify(0);
    CHECK(f.ring.used_idx() == 1);
}

TEST_CASE("a driver that gave up half-way can only reset") {
    Fixture f;
    f.driver.reset_to_driver();
    f.driver.write(Register::status, f.driver.status() | bits::failed);
    f.driver.choose_features(feature::version_1);
    CHECK(f.driver.status() == (static_cast<std::uint32_t>(Status::driver) | bits::failed));
    f.driver.set_status(Status::reset);
    CHECK(f.driver.status() == 0);
}

TEST_CASE("a driver that gave up can only reset") {
    Fixture f;
    f.start();
    const std::uint32_t gave_up = f.driver.status() | bits::failed;
    f.driver.write(Register::status, gave_up);
    CHECK(f.driver.status() == gave_up);
    CHECK_FALSE(f.device.is_active());
    f.driver.notify(0);
    f.driver.set_status(Status::driver_ok);
    CHECK(f.driver.status() == gave_up);
    CHECK_FALSE(f.device.is_active());
    f.start();
    CHECK(f.device.is_active());
}

TEST_CASE("a reset is possible at any moment and leaves nothing behind") {
    Fixture f;
    SUBCASE("before anything") {}
    SUBCASE("before the features") {
        f.driver.reset_to_driver();
    }
    SUBCASE("with a queue set up") {
        f.driver.reset_to_driver();
        f.driver.choose_features(feature::version_1);
        f.driver.set_up_queue(0, f.ring.layout());
    }
    SUBCASE("at work, with an interrupt pending") {
        f.start();
        f.ring.offer_buffer(0, 0x40000, 1, 0);
        f.driver.write(Register::queue_notify, 0);
        f.transport.process_queues();
        f.driver.write(Register::queue_select, 1);
        f.driver.write(Register::device_features_select, 1);
    }
    f.driver.set_status(Status::reset);
    CHECK(f.driver.status() == 0);
    CHECK(f.driver.read(Register::interrupt_status) == 0);
    CHECK(f.driver.read(Register::queue_ready) == 0);
    CHECK(f.driver.read(Register::device_features) != 1);
    CHECK_FALSE(f.device.is_active());
    f.driver.serve_notification();
    f.ring = TestRing{f.memory, 0x30000, size};
    f.start();
    CHECK(f.device.negotiated == feature::version_1);
    f.ring.offer_buffer(0, 0x40000, 1, 0);
    f.driver.notify(0);
    CHECK(f.ring.used_idx() == 1);
}

TEST_CASE("a transport that is resumed looks at its queues") {
    Fixture f;
    f.start();
    f.ring.offer_buffer(0, 0x40000, 1, 0);
    f.transport.resume();
    CHECK(f.ring.used_idx() == 1);
    CHECK(f.irq.take() == 1);
    SUBCASE("and interrupts again for what was not acknowledged") {
        f.transport.resume();
        CHECK(f.irq.take() == 1);
        f.driver.write(Register::interrupt_acknowledge, 1);
        f.transport.resume();
        CHECK(f.irq.take() == 0);
    }
    SUBCASE("and does neither after a reset") {
        f.driver.set_status(Status::reset);
        f.transport.resume();
        CHECK(f.irq.take() == 0);
        CHECK_FALSE(f.device.is_active());
    }
}

TEST_CASE("a live queue can be stopped and set up anew, by either register") {
    Fixture f;
    f.start(feature::version_1 | feature::ring_reset);
    f.ring.offer_buffer(0, 0x40000, 1, 0);
    f.driver.notify(0);
    CHECK(f.ring.used_idx() == 1);
    CHECK(f.device.completions == 1);
    const int drains = f.device.drains;
    f.driver.write(Register::queue_select, 0);
    SUBCASE("queue_ready") {
        f.driver.write(Register::queue_ready, 0);
    }
    SUBCASE("queue_reset") {
        f.driver.write(Register::queue_reset, 1);
    }
    CHECK(f.driver.read(Register::queue_ready) == 0);
    CHECK(f.driver.read(Register::queue_reset) == 0);
    CHECK(f.driver.status() == static_cast<std::uint32_t>(Status::driver_ok));
    CHECK(f.device.stopped == std::vector<std::uint32_t>{0});
    CHECK(f.device.drains == drains + 1);
    CHECK(f.device.is_active());

    f.ring.offer_buffer(1, 0x40000, 1, 0);
    f.driver.notify(0);
    CHECK(f.ring.used_idx() == 1);

    TestRing next{f.memory, 0x30000, 4};
    next.offer_buffer(0, 0x40000, 1, 0);
    f.driver.set_up_queue(0, next.layout());
    CHECK(f.driver.read(Register::queue_ready) == 1);
    CHECK(f.device.started == std::vector<std::uint32_t>{0});
    CHECK(f.device.completions == 2);
    CHECK(f.driver.serve_notification());  // for what was there before
    CHECK(next.used_idx() == 1);
    CHECK(f.ring.used_idx() == 1);
}

TEST_CASE("what stops no queue") {
    Fixture f;
    SUBCASE("queue_reset without its feature") {
        f.start();
        f.driver.write(Register::queue_reset, 1);
        CHECK(f.driver.read(Register::queue_ready) == 1);
    }
    SUBCASE("queue_reset with another value than 1") {
        f.start(feature::version_1 | feature::ring_reset);
        f.driver.write(Register::queue_reset, 0);
        f.driver.write(Register::queue_reset, 2);
        CHECK(f.driver.read(Register::queue_ready) == 1);
    }
    SUBCASE("a queue that is stopped already, or was never set up, or does not exist") {
        f.start(feature::version_1 | feature::ring_reset);
        CHECK(f.driver.stop_queue(0));
        f.device.stopped.clear();
        for (const std::uint32_t idx : {0U, 1U, 2U, 0xFFFF'FFFFU}) {
            CHECK(f.driver.stop_queue(idx));
            f.driver.write(Register::queue_reset, 1);
        }
    }
    CHECK(f.device.stopped.empty());
}

TEST_CASE("a stopped queue is set up as carefully as any") {
    Fixture f;
    f.start();
    CHECK(f.driver.stop_queue(0));
    QueueLayout layout = f.ring.layout();
    SUBCASE("a bad size") {
        layout.size = 3;
    }
    SUBCASE("no size, and no second chance") {
        layout.size = 0;
        f.driver.set_up_queue(0, layout);
        layout.size = size;
    }
    SUBCASE("outside memory") {
        layout.avail = machine::Gpa{1ULL << 40};
    }
    SUBCASE("by a device in trouble") {
        f.driver.set_up_queue(0, layout);
        f.ring.set_avail_idx(0x1000);
        f.driver.notify(0);
        f.device.started.clear();
        CHECK(f.driver.stop_queue(0));
    }
    f.driver.set_up_queue(0, layout);
    CHECK(f.driver.read(Register::queue_ready) == 0);
    CHECK(f.device.started.empty());
}

struct Copy {
    explicit Copy(const Fixture& f) : transport{device, f.memory, irq} {}

    EchoDevice device;
    CountingIrq irq;
    MmioTransport transport;
    TestDriver driver{transport};
};

TEST_CASE("a transport survives a saved state") {
    Fixture f;
    SUBCASE("at rest") {}
    SUBCASE("half-way through the set-up") {
        f.driver.reset_to_driver();
        f.driver.choose_features(feature::version_1 | own_feature);
        f.driver.write(Register::queue_select, 1);
        f.driver.write(Register::queue_size, 4);
        f.driver.write(Register::queue_driver_high, 7);
        f.driver.write(Register::device_features_select, 1);
    }
    SUBCASE("at work") {
        f.start(feature::version_1 | feature::event_idx);
        f.device.change_config();
        f.ring.offer_buffer(0, 0x40000, 1, 0);
        f.driver.notify(0);
    }
    SUBCASE("in trouble") {
        f.start();
        f.ring.set_avail_idx(0x1000);
        f.driver.notify(0);
    }
    const MmioTransportState state = f.transport.save();
    Copy copy{f};
    copy.transport.restore(state);
    CHECK(copy.transport.save() == state);
    CHECK(copy.driver.status() == f.driver.status());
    CHECK(copy.device.is_active() == f.device.is_active());
    CHECK(copy.device.negotiated == (f.device.is_active() ? f.device.negotiated : 0));
    CHECK(copy.driver.read(Register::config_generation) ==
          f.driver.read(Register::config_generation));
}

TEST_CASE("a restored transport goes on after it is resumed") {
    Fixture f;
    f.start();
    f.ring.offer_buffer(0, 0x40000, 1, 0);
    f.driver.notify(0);
    f.ring.offer_buffer(1, 0x40000, 1, 0);
    Copy copy{f};
    copy.transport.restore(f.transport.save());
    CHECK(f.ring.used_idx() == 1);
    copy.transport.resume();
    CHECK(f.ring.used_idx() == 2);
    CHECK(copy.irq.take() == 2);  // the old one, which was not acknowledged, and the new one
    copy.driver.set_status(Status::reset);
    CHECK_FALSE(copy.device.is_active());
}

TEST_CASE("a stopped queue is restored as one, and can be set up anew") {
    Fixture f;
    f.start();
    CHECK(f.driver.stop_queue(0));
    Copy copy{f};
    copy.transport.restore(f.transport.save());
    CHECK(copy.transport.save() == f.transport.save());
    copy.transport.resume();
    copy.driver.write(Register::queue_select, 0);
    CHECK(copy.driver.read(Register::queue_ready) == 0);
    f.ring.offer_buffer(0, 0x40000, 1, 0);
    copy.driver.notify(0);
    CHECK(f.ring.used_idx() == 0);
    SUBCASE("that one") {
        copy.driver.set_up_queue(0, f.ring.layout());
        copy.driver.notify(0);
        CHECK(f.ring.used_idx() == 1);
    }
    SUBCASE("not one that never was") {
        copy.driver.set_up_queue(1, f.ring.layout());
        CHECK(copy.driver.read(Register::queue_ready) == 0);
    }
}

TEST_CASE("a saved state that this device cannot have is refused") {
    Fixture f;
    f.start();
    MmioTransportState state = f.transport.save();
    SUBCASE("a status that does not exist") {
        state.status = 2;
    }
    SUBCASE("a trouble that does not exist") {
        state.trouble = 1;
    }
    SUBCASE("features that are not offered") {
        state.driver_features |= 2;
    }
    SUBCASE("a queue too many") {
        state.queues.emplace_back();
    }
    SUBCASE("no queues") {
        state.queues.clear();
    }
    SUBCASE("a queue beyond the memory") {
        state.queues[0].layout.used = machine::Gpa{1ULL << 40};
    }
    SUBCASE("a queue of a bad size") {
        state.queues[0].layout.size = 3;
    }
    Copy copy{f};
    CHECK_THROWS_AS(copy.transport.restore(state), std::invalid_argument);
    CHECK_FALSE(copy.device.is_active());
}

TEST_CASE("a transport counts resets, interrupts and failures") {
    Fixture f;
    f.start();
    f.ring.offer_buffer(0, 0x40000, 1, 0);
    f.driver.notify(0);
    f.ring.set_avail_idx(0x1000);
    f.driver.notify(0);
    f.driver.set_status(Status::reset);
    host::RecordingSink sink;
    f.transport.metrics().report(sink);
    CHECK(sink.values["activate_count"] == 1);
    CHECK(sink.values["reset_count"] == 2);
    CHECK(sink.values["interrupt_count"] == 2);
    CHECK(sink.values["queue_error_count"] == 1);
}

}  // namespace
}  // namespace shoal::virtio
