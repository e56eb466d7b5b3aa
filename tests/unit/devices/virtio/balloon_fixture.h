// BalloonFixture: a balloon, its driver, and memory whose cost for the host can be seen.
#pragma once

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "devices/virtio/balloon.h"
#include "tests/unit/devices/virtio/counting_irq.h"
#include "tests/unit/devices/virtio/test_driver.h"
#include "tests/unit/devices/virtio/test_ring.h"

namespace shoal::virtio {

struct BalloonFixture {
    static constexpr std::uint16_t ring_size = 32;
    static constexpr std::uint64_t memory_bytes = 16 << 20;
    static constexpr std::uint64_t page = 4096;

    explicit BalloonFixture(const BalloonConfig& config) : device{memory, reactor, config} {
        std::ranges::fill(memory.slice(machine::Gpa{0}, memory_bytes).value(), std::byte{0x5A});
        start();
    }

    void start(std::uint64_t declined_features = 0) {
        driver.reset_to_driver();
        driver.choose_features(abi::virtio::feature::version_1 |
                               (device.features() & ~declined_features));
        rings.clear();
        for (std::uint32_t idx = 0; idx < device.queue_count(); ++idx) {
            const std::uint64_t at = next_ring_;
            next_ring_ += 0x2000;
            const auto bytes = memory.slice(machine::Gpa{at}, 0x2000).value();
            std::ranges::fill(bytes, std::byte{0});
            rings.emplace_back(memory, at, ring_size);
            driver.set_up_queue(idx, rings.back().layout());
        }
        driver.set_status(Status::driver_ok);
        REQUIRE(driver.status() == static_cast<std::uint32_t>(Status::driver_ok));
        driver.serve_notification();
    }
    // One buffer of page frame numbers.
    void send_pfns(std::uint32_t queue, const std::vector<std::uint32_t>& pfns) {
        const auto bytes = std::as_bytes(std::span{pfns});
        REQUIRE(memory.write_bytes(machine::Gpa{buffer}, bytes));
        rings[queue].offer_buffer(0, buffer, static_cast<std::uint32_t>(bytes.size()), 0);
        driver.notify(queue);
    }
    [[nodiscard]] std::uint64_t host_bytes() const {
        struct stat status {};
        REQUIRE(::fstat(memory.fd(), &status) == 0);
        return static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
    [[nodiscard]] std::uint8_t first_byte_of(std::uint64_t pfn) const {
        return memory.read<std::uint8_t>(machine::Gpa{pfn * page}).value();
    }
    [[nodiscard]] bool is_broken() const {
        return (driver.status() & abi::virtio::status::device_needs_reset) != 0;
    }

    static constexpr std::uint64_t buffer = 0x8000;

    machine::GuestMemory memory{memory_bytes};
    host::Reactor reactor;
    Balloon device;
    CountingIrq irq;
    MmioTransport transport{device, memory, irq};
    TestDriver driver{transport};
    std::vector<TestRing> rings;

private:
    std::uint64_t next_ring_ = 0x10'0000;
};

}  // namespace shoal::virtio
