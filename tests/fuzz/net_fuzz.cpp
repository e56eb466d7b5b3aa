// Fuzzes the network device: the input is what a malicious driver does, and what comes from the
// host meanwhile.
//
// Whatever they do, every step ends, and nothing writes to guest memory after a reset.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "devices/abi/virtio_net.h"
#include "devices/host/check.h"
#include "devices/host/reactor.h"
#include "devices/virtio/net.h"
#include "tests/unit/devices/virtio/counting_irq.h"
#include "tests/unit/devices/virtio/test_driver.h"

namespace {

using namespace shoal;
using machine::Gpa;
using virtio::TestDriver;

constexpr std::uint64_t memory_bytes = 1 << 20;
// What is cleared for each input, and where all rings and most buffers lie.
constexpr std::size_t window_bytes = 1 << 15;
constexpr std::uint32_t size = 16;

// Not made anew for each input, which would take most of the time.
std::array<char, 140'000> packet;
std::array<std::byte, window_bytes> before;

class Input {
public:
    explicit Input(std::span<const std::uint8_t> bytes) : rest_{bytes} {}
    [[nodiscard]] bool is_empty() const { return rest_.empty(); }
    // Zeros behind the end.
    template <typename T>
    T take() {
        T value{};
        const auto piece = take_bytes(sizeof value);
        std::memcpy(&value, piece.data(), piece.size());
        return value;
    }
    std::span<const std::uint8_t> take_bytes(std::size_t count) {
        const auto piece = rest_.first(std::min(count, rest_.size()));
        rest_ = rest_.subspan(piece.size());
        return piece;
    }

private:
    std::span<const std::uint8_t> rest_;
};

std::pair<host::UniqueFd, host::UniqueFd> make_pair() {
    std::array<int, 2> ends{};
    SHOAL_CHECK(
        ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
    return {host::UniqueFd{ends[0]}, host::UniqueFd{ends[1]}};
}

virtio::NetConfig make_config(std::uint8_t bits) {
    virtio::NetConfig config;
    if ((bits & 1) != 0) {
        config.guest_mac = {2, 0, 0, 0, 0, 1};
    }
    if ((bits & 2) != 0) {
        config.rx_rate_limiter.ops = {.size = 3, .one_time_burst = 0, .refill_time_ms = 1};
    }
    if ((bits & 4) != 0) {
        config.tx_rate_limiter.bandwidth = {.size = 9000, .one_time_burst = 0, .refill_time_ms = 1};
    }
    return config;
}

// Mostly small ones: they are fast.
std::size_t packet_size(std::uint16_t choice) {
    return choice < 0xF000 ? choice % 4096U : choice * 2U;
}

class Scene {
public:
    Scene(const machine::GuestMemory& memory, std::uint8_t config)
        : memory_{memory}, device_{make_config(config), std::move(tap_), reactor_} {}

    void step(Input& input) {
        const auto op = input.take<std::uint8_t>();
        if (op >= 0xF8) {
            return stop_queue(op);
        }
        switch (op % 8) {
            case 0: {
                const std::uint64_t offset = input.take<std::uint16_t>() % 0x200;
                driver_.write_at(offset, input.take<std::uint32_t>());
                break;
            }
            case 1: {
                const std::uint64_t at = input.take<std::uint16_t>() % window_bytes;
                const auto bytes = input.take_bytes(input.take<std::uint8_t>() % 64);
                SHOAL_CHECK(memory_.write_bytes(Gpa{at}, std::as_bytes(bytes)));
                break;
            }
            case 2:
                serve();
                break;
            case 3:
                host_sends(packet_size(input.take<std::uint16_t>()));
                break;
            case 4:
                static_cast<void>(::recv(peer_.get(), packet.data(), packet.size(), MSG_DONTWAIT));
                break;
            case 5:
                set_up(input.take<std::uint64_t>());
                break;
            case 6:
                static_cast<void>(device_.save());
                break;
            case 7:
                reset();
                break;
        }
    }

private:
    void serve() {
        for (unsigned turn = 0; turn < 4; ++turn) {
            if (!driver_.serve_notification() && !reactor_.dispatch(0)) {
                return;
            }
        }
    }
    void host_sends(std::size_t size_bytes) {
        static_cast<void>(::send(peer_.get(), packet.data(), std::min(size_bytes, packet.size()),
                                 MSG_DONTWAIT | MSG_NOSIGNAL));
    }
    void set_up(std::uint64_t features) {
        driver_.reset_to_driver();
        driver_.choose_features((features & device_.features()) | (features & 3ULL << 28) |
                                abi::virtio::feature::ring_reset | abi::virtio::feature::version_1);
        driver_.set_up_queue(0, layout(0));
        driver_.set_up_queue(1, layout(1));
        driver_.set_status(virtio::Status::driver_ok);
    }
    static virtio::QueueLayout layout(std::uint32_t queue) {
        const std::uint64_t at = 0x1000 * queue;
        return {size, Gpa{at}, Gpa{at + 0x400}, Gpa{at + 0x800}};
    }
    // One of them, by this register or that one; and perhaps from its beginning again.
    void stop_queue(std::uint8_t choice) {
        driver_.write(TestDriver::Register::queue_select, choice & 1);
        if ((choice & 2) != 0) {
            driver_.write(TestDriver::Register::queue_ready, 0);
        } else {
            driver_.write(TestDriver::Register::queue_reset, 1);
        }
        if ((choice & 4) != 0) {
            driver_.set_up_queue(choice & 1, layout(choice & 1));
        }
    }
    void reset() {
        driver_.set_status(virtio::Status::reset);
        const auto window = memory_.slice(Gpa{0}, window_bytes).value();
        std::memcpy(before.data(), window.data(), before.size());
        host_sends(1000);
        serve();
        SHOAL_CHECK(std::memcmp(before.data(), window.data(), before.size()) == 0);
    }

    const machine::GuestMemory& memory_;
    std::pair<host::UniqueFd, host::UniqueFd> pair_ = make_pair();
    host::UniqueFd peer_ = std::move(pair_.first);
    backend::Tap tap_ = backend::Tap::adopt(std::move(pair_.second), 0x7F);
    host::Reactor reactor_;
    virtio::Net device_;
    virtio::CountingIrq irq_;
    virtio::MmioTransport transport_{device_, memory_, irq_};
    TestDriver driver_{transport_};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    static const machine::GuestMemory memory{memory_bytes};
    std::memset(memory.slice(Gpa{0}, window_bytes).value().data(), 0, window_bytes);
    Input input{{data, size_bytes}};
    Scene scene{memory, input.take<std::uint8_t>()};
    for (unsigned count = 0; count < 200 && !input.is_empty(); ++count) {
        scene.step(input);
    }
    return 0;
}
