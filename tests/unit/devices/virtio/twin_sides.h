// What twin_test.cpp needs to know of each kind of device: what its driver asks for, what its host
// does, and what the host sees. All choices come from a random generator, so that a device and its
// twin are told the same.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "devices/abi/virtio_block.h"
#include "devices/abi/virtio_net.h"
#include "devices/host/os_error.h"
#include "devices/host/reactor.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/block.h"
#include "devices/virtio/entropy.h"
#include "devices/virtio/net.h"
#include "tests/unit/devices/backend/temporary_image.h"

namespace shoal::virtio::twins {

using Random = std::minstd_rand;
using Chain = std::vector<abi::virtio::Descriptor>;
namespace flag = abi::virtio::descriptor_flag;

// Buffers lie from here on, what balloons discard behind them.
constexpr std::uint64_t buffers_at = 0x4'0000;
constexpr std::uint32_t first_free_pfn = 0xC0;
constexpr std::uint32_t end_pfn = 0x100;

// So few that they are used up, and so slow that none comes back.
inline backend::RateLimiterConfig few_ops() {
    return {.bandwidth = {}, .ops = backend::TokenBucketConfig{8, 4, 3'600'000}};
}

template <typename T>
void put(const machine::GuestMemory& memory, std::uint64_t at, const T& value) {
    REQUIRE(memory.write(machine::Gpa{at}, value));
}

// The same for all sides: what is left out here is what a device does not have.
template <typename State, typename Budget>
struct Saved {
    State state;
    Budget budget;
};
template <typename State, typename Budget>
Saved(State, Budget) -> Saved<State, Budget>;

class BlockSide {
public:
    static constexpr std::uint64_t compared_bytes = 1 << 20;
    static constexpr std::uint16_t most_waiting = 1;  // of several, any may be done first

    BlockSide(const machine::GuestMemory& memory, host::Reactor& reactor)
        : memory_{memory},
          image_{image_bytes},
          device_{{.disk = {.path = image_.path(), .io = backend::DiskIo::sync},
                   .cache = CacheType::writeback,
                   .rate_limiter = few_ops()},
                  reactor} {}
    void settle() { static_cast<void>(device_.save()); }  // nothing is in flight
    Device& device() { return device_; }
    Chain chain(std::uint32_t, std::uint64_t at, Random& random) const {
        using namespace abi::virtio::block;
        const std::array types{RequestType::in, RequestType::out, RequestType::out,
                               RequestType::flush, RequestType::get_id};
        const RequestType type = types[random() % types.size()];
        const bool device_writes = type == RequestType::in || type == RequestType::get_id;
        const auto bytes = static_cast<std::uint32_t>(512 * (1 + random() % 3));
        put(memory_, at, RequestHeader{type, 0, random() % (image_bytes / 512)});
        put(memory_, at + 64, random());
        const Chain all{{at, 16, 0, 0},
                        {at + 64, bytes, device_writes ? flag::write : std::uint16_t{0}, 0},
                        {at + 32, 1, flag::write, 0}};
        return type == RequestType::flush ? Chain{all[0], all[2]} : all;
    }
    void host_does(Random&, bool) {}
    std::string host_sees() {
        const auto bytes = image_.read(0, image_bytes);
        std::string text(bytes.size(), '\0');
        std::memcpy(text.data(), bytes.data(), bytes.size());
        return text;
    }
    auto save() { return Saved{device_.save(), device_.save_budget()}; }
    template <typename T>
    void restore_passive(const T& saved, const BlockSide& other) {
        image_.write(0, other.image_.read(0, image_bytes));
        device_.restore(saved.state);
    }
    template <typename T>
    void restore_active(const T& saved) {
        device_.restore_budget(saved.budget);
    }

private:
    static constexpr std::uint64_t image_bytes = 64 << 10;
    const machine::GuestMemory& memory_;
    backend::TemporaryImage image_;
    Block device_;
};

class NetSide {
public:
    static constexpr std::uint64_t compared_bytes = 1 << 20;
    static constexpr std::uint16_t most_waiting = 15;

    NetSide(const machine::GuestMemory& memory, host::Reactor& reactor)
        : NetSide{memory, reactor, make_pair()} {}
    void settle() {}
    Device& device() { return device_; }
    Chain chain(std::uint32_t queue, std::uint64_t at, Random& random) const {
        if (queue == 0) {
            return {{at, 1600, flag::write, 0}};
        }
        put(memory_, at, abi::virtio::net::Header{});
        put(memory_, at + sizeof(abi::virtio::net::Header), random());
        return {{at, static_cast<std::uint32_t>(60 + random() % 200), 0, 0}};
    }
    // What waits in a TAP is not saved: the device takes a packet at once.
    void host_does(Random& random, bool first_queue_has_buffers) {
        const std::string packet(sizeof(abi::virtio::net::Header) + 60 + random() % 1000,
                                 static_cast<char>(random()));
        if (first_queue_has_buffers) {
            REQUIRE(::send(peer_.get(), packet.data(), packet.size(), MSG_DONTWAIT) > 0);
        }
    }
    std::string host_sees() {
        std::string all;
        std::array<char, 4096> packet;
        for (ssize_t count = 0;
             (count = ::recv(peer_.get(), packet.data(), packet.size(), MSG_DONTWAIT)) > 0;) {
            all.append(packet.data(), static_cast<std::size_t>(count)).append("|");
        }
        return all;
    }
    auto save() { return Saved{device_.save(), device_.save_budgets()}; }
    template <typename T>
    void restore_passive(const T& saved, const NetSide&) {
        device_.restore(saved.state);
    }
    template <typename T>
    void restore_active(const T& saved) {
        device_.restore_budgets(saved.budget);
    }

private:
    using Pair = std::pair<host::UniqueFd, host::UniqueFd>;

    NetSide(const machine::GuestMemory& memory, host::Reactor& reactor, Pair pair)
        : memory_{memory},
          peer_{std::move(pair.first)},
          device_{{.guest_mac = abi::virtio::net::MacAddress{2, 0, 0, 0, 0, 7},
                   .mtu = 1400,
                   .rx_rate_limiter = {},
                   .tx_rate_limiter = few_ops()},
                  backend::Tap::adopt(std::move(pair.second), 0),
                  reactor} {}
    static Pair make_pair() {
        std::array<int, 2> ends{};
        host::check_os(
            ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()),
            "socketpair");
        return {host::UniqueFd{ends[0]}, host::UniqueFd{ends[1]}};
    }

    const machine::GuestMemory& memory_;
    host::UniqueFd peer_;
    Net device_;
};

class EntropySide {
public:
    static constexpr std::uint64_t compared_bytes = buffers_at;  // behind it all is random
    static constexpr std::uint16_t most_waiting = 15;

    EntropySide(const machine::GuestMemory&, host::Reactor& reactor)
        : device_{reactor, few_ops()} {}
    void settle() {}
    Device& device() { return device_; }
    static Chain chain(std::uint32_t, std::uint64_t at, Random& random) {
        return {{at, static_cast<std::uint32_t>(1 + random() % 3000), flag::write, 0}};
    }
    void host_does(Random&, bool) {}
    static std::string host_sees() { return {}; }
    auto save() { return Saved{device_.save(), device_.save_budget()}; }
    template <typename T>
    void restore_passive(const T&, const EntropySide&) {}
    template <typename T>
    void restore_active(const T& saved) {
        REQUIRE(device_.restore(saved.state));
        device_.restore_budget(saved.budget);
    }

private:
    Entropy device_;
};

class BalloonSide {
public:
    static constexpr std::uint64_t compared_bytes = 1 << 20;
    static constexpr std::uint16_t most_waiting = 15;

    BalloonSide(const machine::GuestMemory& memory, host::Reactor& reactor)
        : memory_{memory},
          device_{memory,
                  reactor,
                  {.target_pages = 3,
                   .deflate_on_oom = true,
                   .stats_polling_interval_s = 3600,
                   .free_page_hinting = true,
                   .free_page_reporting = true}} {}
    void settle() {}
    Device& device() { return device_; }
    Chain chain(std::uint32_t queue, std::uint64_t at, Random& random) const {
        const auto pfn = [&] {
            return static_cast<std::uint32_t>(first_free_pfn +
                                              random() % (end_pfn - first_free_pfn));
        };
        const auto count = static_cast<std::uint32_t>(1 + random() % 8);
        if (queue < 2) {
            for (std::uint32_t idx = 0; idx < count; ++idx) {
                put(memory_, at + 4ULL * idx, pfn());
            }
            return {{at, 4 * count, 0, 0}};
        }
        if (queue == 2) {
            for (std::uint32_t idx = 0; idx < count; ++idx) {
                put(memory_, at + 10ULL * idx, static_cast<std::uint16_t>(random() % 16));
                put(memory_, at + 10ULL * idx + 2, std::uint64_t{random()});
            }
            return {{at, 10 * count, 0, 0}};
        }
        if (queue == 3 && random() % 2 == 0) {
            put(memory_, at, static_cast<std::uint32_t>(random() % 4));
            return {{at, 4, 0, 0}};
        }
        return {{std::uint64_t{pfn()} << 12, 4096, flag::write, 0}};
    }
    void host_does(Random& random, bool) {
        switch (random() % 4) {
            case 0:
                static_cast<void>(device_.set_target(static_cast<std::uint32_t>(random() % 64)));
                break;
            case 1:
                static_cast<void>(device_.set_polling_interval(
                    static_cast<std::uint16_t>(1000 + random() % 1000)));
                break;
            case 2:
                static_cast<void>(device_.start_hinting(random() % 2 == 0 ? AcknowledgeOnStop::yes
                                                                          : AcknowledgeOnStop::no));
                break;
            default:
                static_cast<void>(device_.stop_hinting());
                break;
        }
    }
    std::string host_sees() {
        std::string text = std::to_string(device_.config().target_pages) + " " +
                           std::to_string(device_.config().stats_polling_interval_s);
        if (const auto report = device_.statistics()) {
            text += " " + std::to_string(report->actual_pages);
            for (const auto& value : report->guest) {
                text += value ? " " + std::to_string(*value) : " -";
            }
        }
        if (const auto status = device_.hinting_status()) {
            text += " " + std::to_string(status->host_cmd) +
                    (status->guest_cmd ? " " + std::to_string(*status->guest_cmd) : "");
        }
        return text;
    }
    // A run of hinting ends with a save: it is over on both sides.
    auto save() {
        static_cast<void>(device_.stop_hinting());
        return Saved{device_.save(), 0};
    }
    template <typename T>
    void restore_passive(const T&, const BalloonSide&) {}
    template <typename T>
    void restore_active(const T& saved) {
        device_.restore(saved.state);
    }

private:
    const machine::GuestMemory& memory_;
    Balloon device_;
};

}  // namespace shoal::virtio::twins
