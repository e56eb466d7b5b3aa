// BlockDriver: a block driver in guest memory, whatever the device. BlockFixture: that driver on
// one side of a Block, and a real file on the other.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "devices/abi/virtio_block.h"
#include "devices/host/reactor.h"
#include "devices/virtio/block.h"
#include "tests/unit/devices/backend/temporary_image.h"
#include "tests/unit/devices/virtio/counting_irq.h"
#include "tests/unit/devices/virtio/test_driver.h"
#include "tests/unit/devices/virtio/test_ring.h"

namespace shoal::virtio {

// For test cases that run once with each engine.
using SyncIo = std::integral_constant<backend::DiskIo, backend::DiskIo::sync>;
using AsyncIo = std::integral_constant<backend::DiskIo, backend::DiskIo::async>;

struct BlockDriver {
    using Type = abi::virtio::block::RequestType;
    using Answer = abi::virtio::block::RequestStatus;

    static constexpr std::uint16_t queue_size = 256;
    static constexpr std::uint64_t image_bytes = 4 << 20;
    static constexpr std::uint64_t memory_bytes = 32 << 20;
    static constexpr std::uint64_t ring_at = 0x1'0000;
    // Where in guest memory a request of that number has its parts.
    static constexpr std::uint64_t headers_at = 0x10'0000;
    static constexpr std::uint64_t statuses_at = 0x18'0000;
    static constexpr std::uint64_t data_at = 0x20'0000;
    static constexpr std::uint64_t data_stride = 64 << 10;
    static constexpr std::byte untouched{0xEE};

    BlockDriver() : image{image_bytes} {}
    void attach(Device& device) {
        transport.emplace(device, memory, irq);
        driver.emplace(*transport);
    }

    void start(std::uint64_t features) {
        std::ranges::fill(memory.slice(machine::Gpa{ring_at}, 0x2000).value(), std::byte{0});
        ring = TestRing{memory, ring_at, queue_size};
        offered = 0;
        driver->reset_to_driver();
        driver->choose_features(features | abi::virtio::feature::version_1);
        driver->set_up_queue(0, ring.layout());
        driver->set_status(Status::driver_ok);
        REQUIRE(driver->status() == static_cast<std::uint32_t>(Status::driver_ok));
        serve();
    }

    // What the event loop does until nothing is left to do right now.
    void serve() {
        bool again = true;
        while (again) {
            again = driver->serve_notification();
            again = reactor.dispatch(0) || again;
        }
    }
    void notify() {
        driver->write(TestDriver::Register::queue_notify, 0);
        serve();
    }
    // Serves until the device has used so many chains since start(), or for ten seconds.
    void await(std::uint16_t used) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
        serve();
        while (ring.used_idx() != used) {
            REQUIRE(std::chrono::steady_clock::now() < deadline);
            reactor.dispatch(1000);
            serve();
        }
    }

    // Makes a request of the usual shape available: header, data if any, status. Uses descriptors
    // 3 * number and the next two; 85 at once.
    std::uint16_t offer(Type type, std::uint64_t sector, std::uint32_t data_bytes) {
        using namespace abi::virtio;
        const auto number = static_cast<std::uint16_t>(offered++ % max_requests);
        const auto head = static_cast<std::uint16_t>(3 * number);
        const auto last = static_cast<std::uint16_t>(head + 2);
        const bool device_writes = type == Type::in || type == Type::get_id;
        ring.put(header(number), block::RequestHeader{type, 0, sector});
        ring.put(status_at(number), untouched);
        ring.describe(head, {header(number), 16, descriptor_flag::next,
                             data_bytes == 0 ? last : static_cast<std::uint16_t>(head + 1)});
        ring.describe(static_cast<std::uint16_t>(head + 1),
                      {data(number), data_bytes,
                       static_cast<std::uint16_t>(descriptor_flag::next |
                                                  (device_writes ? descriptor_flag::write : 0)),
                       last});
        ring.describe(last, {status_at(number), 1, descriptor_flag::write, 0});
        ring.offer(head);
        return number;
    }
    // One request from beginning to end.
    Answer run(Type type, std::uint64_t sector, std::uint32_t data_bytes) {
        const auto before = ring.used_idx();
        last_number = offer(type, sector, data_bytes);
        driver->write(TestDriver::Register::queue_notify, 0);
        await(static_cast<std::uint16_t>(before + 1));
        return status(last_number);
    }
    Answer write(std::uint64_t sector, std::span<const std::byte> bytes) {
        put_next_data(bytes);
        return run(Type::out, sector, static_cast<std::uint32_t>(bytes.size()));
    }
    Answer run_range(Type type, abi::virtio::block::Range range) {
        put_next_data(std::as_bytes(std::span{&range, 1}));
        return run(type, 0, sizeof range);
    }

    void put_next_data(std::span<const std::byte> bytes) {
        REQUIRE(memory.write_bytes(machine::Gpa{data(offered % max_requests)}, bytes));
    }
    [[nodiscard]] std::span<std::byte> data_of(std::uint64_t number, std::uint64_t size) const {
        return memory.slice(machine::Gpa{data(number)}, size).value();
    }
    [[nodiscard]] Answer status(std::uint64_t number) const {
        return ring.get<Answer>(status_at(number));
    }
    [[nodiscard]] bool needs_reset() const {
        return (driver->status() & abi::virtio::status::device_needs_reset) != 0;
    }

    static constexpr std::uint64_t max_requests = queue_size / 3;
    static constexpr std::uint64_t header(std::uint64_t number) { return headers_at + 16 * number; }
    static constexpr std::uint64_t status_at(std::uint64_t number) { return statuses_at + number; }
    static constexpr std::uint64_t data(std::uint64_t number) {
        return data_at + data_stride * number;
    }

    backend::TemporaryImage image;
    machine::GuestMemory memory{memory_bytes};
    host::Reactor reactor;
    CountingIrq irq;
    std::optional<MmioTransport> transport;
    std::optional<TestDriver> driver;
    TestRing ring{memory, ring_at, queue_size};
    std::uint64_t offered = 0;
    std::uint16_t last_number = 0;
};

struct BlockFixture : BlockDriver {
    explicit BlockFixture(BlockConfig config = {})
        : device{with_path(std::move(config), image.path()), reactor} {
        attach(device);
    }
    using BlockDriver::start;
    void start() { start(device.features()); }
    static BlockConfig with_path(BlockConfig config, const std::string& path) {
        config.disk.path = path;
        return config;
    }

    Block device;
};

}  // namespace shoal::virtio
