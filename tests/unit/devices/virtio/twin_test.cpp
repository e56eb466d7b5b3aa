// A device that was saved, and a twin that was made of what was saved, do the same from then on:
// what a device forgets to save, or to restore, shows as a difference.
//
// Without the vsock, whose connections end with a save, and the console, which no snapshot has.
#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "tests/unit/devices/virtio/counting_irq.h"
#include "tests/unit/devices/virtio/test_driver.h"
#include "tests/unit/devices/virtio/test_ring.h"
#include "tests/unit/devices/virtio/twin_sides.h"

namespace shoal::virtio {
namespace {

using twins::Random;

std::string describe_step(std::uint32_t seed) {
    Random random{seed};
    random.discard(3);
    const auto queue = random();
    return "queue " + std::to_string(queue) + " what " + std::to_string(random() % 9);
}

template <typename Side>
class Rig {
public:
    static constexpr std::uint16_t ring_size = 64;
    static constexpr std::uint16_t most_chains = 16;  // at once in a queue; of four descriptors

    void start(Random& random) {
        const std::uint64_t optional =
            random() % 2 == 0 ? std::uint64_t{abi::virtio::feature::event_idx} : 0;
        driver_.reset_to_driver();
        driver_.choose_features(side_.device().features() | optional |
                                abi::virtio::feature::version_1);
        rings_.clear();
        offered_.assign(side_.device().queue_count(), 0);
        for (std::uint32_t queue = 0; queue < offered_.size(); ++queue) {
            const std::uint64_t at = 0x1'0000 + 0x2000ULL * queue;
            std::memset(memory_.slice(machine::Gpa{at}, 0x2000).value().data(), 0, 0x2000);
            rings_.emplace_back(memory_, at, ring_size);
            driver_.set_up_queue(queue, rings_.back().layout());
        }
        driver_.set_status(Status::driver_ok);
        serve();
    }

    // What the seed says.
    void step(std::uint32_t seed) {
        Random random{seed};
        random.discard(3);
        const auto queue = static_cast<std::uint32_t>(random() % rings_.size());
        switch (random() % 9) {
            case 0:
            case 1:
            case 2:
                offer(queue, random);
                break;
            case 3:
            case 4:
                driver_.write(TestDriver::Register::queue_notify, queue);
                break;
            case 5:
                write_register(queue, random);
                break;
            case 6:
                driver_.write(TestDriver::Register::interrupt_acknowledge,
                              driver_.read(TestDriver::Register::interrupt_status));
                break;
            case 7:
                side_.host_does(random, rings_[0].used_idx() != offered_[0]);
                break;
            default:
                if (random() % 8 == 0) {
                    start(random);
                } else {
                    rings_[queue].set_used_event(
                        static_cast<std::uint16_t>(rings_[queue].used_idx() + random() % 3));
                }
                break;
        }
        serve();
    }

    // As a microVM is saved and restored (vmm/machine/kvm_microvm_state.cpp).
    void become_twin_of(Rig& other) {
        const auto saved = other.side_.save();
        const MmioTransportState state = other.transport_.save();
        std::memcpy(memory_.slice(machine::Gpa{0}, memory_bytes).value().data(),
                    other.memory_.slice(machine::Gpa{0}, memory_bytes).value().data(),
                    memory_bytes);
        side_.restore_passive(saved, other.side_);
        transport_.restore(state);
        side_.restore_active(saved);
        offered_ = other.offered_;
        for (std::uint32_t queue = 0; queue < offered_.size(); ++queue) {
            rings_.emplace_back(memory_, 0x1'0000 + 0x2000ULL * queue, ring_size);
            rings_.back().set_avail_idx(offered_[queue]);
        }
        for (Rig* rig : {this, &other}) {
            rig->transport_.resume();
            rig->serve();
            rig->irq_.take();
        }
        static_cast<void>(other.side_.host_sees());
        static_cast<void>(side_.host_sees());
    }

    void compare(Rig& other) {
        // How many requests share an interrupt is a matter of time.
        REQUIRE((irq_.take() != 0) == (other.irq_.take() != 0));
        const auto mine_now = registers();
        const auto theirs_now = other.registers();
        for (std::size_t idx = 0; idx < mine_now.size(); ++idx) {
            if (mine_now[idx] != theirs_now[idx]) {
                FAIL("register at " << 4 * idx << ": " << mine_now[idx] << ", of the saved one "
                                    << theirs_now[idx]);
            }
        }
        REQUIRE((side_.host_sees() == other.side_.host_sees()));
        const auto mine = memory_.slice(machine::Gpa{0}, Side::compared_bytes).value();
        const auto theirs = other.memory_.slice(machine::Gpa{0}, Side::compared_bytes).value();
        // Byte by byte would take seconds where nothing is optimized.
        REQUIRE(std::memcmp(mine.data(), theirs.data(), mine.size()) == 0);
    }
    [[nodiscard]] std::uint32_t used() const {
        std::uint32_t sum = 0;
        for (const TestRing& ring : rings_) {
            sum += ring.used_idx();
        }
        return sum;
    }

private:
    static constexpr std::uint64_t memory_bytes = 1 << 20;

    void serve() {
        do {
            while (driver_.serve_notification() || reactor_.dispatch(0)) {
            }
            side_.settle();
        } while (driver_.serve_notification());
    }
    [[nodiscard]] std::vector<std::uint32_t> registers() const {
        std::vector<std::uint32_t> all;
        for (std::uint64_t offset = 0; offset < 0x140; offset += 4) {
            all.push_back(driver_.template read_at<std::uint32_t>(offset));
        }
        return all;
    }
    void offer(std::uint32_t queue, Random& random) {
        TestRing& ring = rings_[queue];
        const std::uint16_t number = offered_[queue] % most_chains;
        if (static_cast<std::uint16_t>(offered_[queue] - ring.used_idx()) >= Side::most_waiting) {
            return;
        }
        const std::uint64_t at = twins::buffers_at + 0x1000ULL * (queue * most_chains + number);
        twins::Chain chain = side_.chain(queue, at, random);
        const auto head = static_cast<std::uint16_t>(4 * number);
        for (std::uint16_t idx = 0; idx < chain.size(); ++idx) {
            chain[idx].next = static_cast<std::uint16_t>(head + idx + 1);
            if (idx + 1U < chain.size()) {
                chain[idx].flags |= abi::virtio::descriptor_flag::next;
            }
            ring.describe(static_cast<std::uint16_t>(head + idx), chain[idx]);
        }
        ring.offer(head);
        ++offered_[queue];
        // A device that must go on with one queue in another turn, as on a slow host, looks at all
        // of them: it would see this before its twin does.
        if (rings_.size() > 1) {
            driver_.write(TestDriver::Register::queue_notify, queue);
        }
    }
    void write_register(std::uint32_t queue, Random& random) {
        constexpr std::uint64_t second_of_config = 0x104;  // the balloon's `actual`
        switch (random() % 4) {
            case 0:
                return driver_.write(TestDriver::Register::queue_select, queue);
            case 1:
                return driver_.write(TestDriver::Register::device_features_select,
                                     static_cast<std::uint32_t>(random() % 2));
            case 2:
                return driver_.write(TestDriver::Register::driver_features_select,
                                     static_cast<std::uint32_t>(random() % 2));
            default:
                return driver_.write_at(second_of_config,
                                        static_cast<std::uint32_t>(random() % 64));
        }
    }

    machine::GuestMemory memory_{memory_bytes};
    host::Reactor reactor_;
    Side side_{memory_, reactor_};
    CountingIrq irq_;
    MmioTransport transport_{side_.device(), memory_, irq_};
    TestDriver driver_{transport_};
    std::vector<TestRing> rings_;
    std::vector<std::uint16_t> offered_;
};

std::uint32_t test_seed() {
    const char* const text = std::getenv("SHOAL_TEST_SEED");
    return text != nullptr ? static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10))
                           : std::random_device{}();
}

template <typename Side>
void run_twins(std::uint32_t seed) {
    INFO("SHOAL_TEST_SEED=", seed);
    Random random{seed};
    std::uint32_t used_after = 0;
    for (int round = 0; round < 20; ++round) {
        Rig<Side> one;
        one.start(random);
        for (auto steps = random() % 60; steps > 0; --steps) {
            one.step(static_cast<std::uint32_t>(random()));
        }
        Rig<Side> other;
        other.become_twin_of(one);
        const std::uint32_t before = one.used();
        other.compare(one);
        for (int steps = 0; steps < 40; ++steps) {
            const auto step = static_cast<std::uint32_t>(random());
            CAPTURE(steps);
            CAPTURE(describe_step(step));
            one.step(step);
            other.step(step);
            other.compare(one);
        }
        used_after += one.used() > before ? 1U : 0U;
    }
    CHECK(used_after > 2);  // else nothing was compared but what stands still
}

TEST_CASE_TEMPLATE("a restored device goes on as the one that was saved", Side, twins::BlockSide,
                   twins::NetSide, twins::EntropySide, twins::BalloonSide) {
    run_twins<Side>(test_seed());
}

}  // namespace
}  // namespace shoal::virtio
