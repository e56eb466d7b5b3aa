// Virtio sockets (virtio 1.2, 5.10): configuration, packets, events.
#pragma once

#include <cstdint>

namespace shoal::abi::virtio::vsock {

inline constexpr std::uint64_t feature_stream = 1ULL << 0;

struct Config {
    std::uint64_t guest_cid;
};
static_assert(sizeof(Config) == 8);

inline constexpr std::uint32_t receive_queue = 0;
inline constexpr std::uint32_t transmit_queue = 1;
inline constexpr std::uint32_t event_queue = 2;
inline constexpr std::uint32_t queue_count = 3;

// Smaller ones, and the largest of 32 bits, are reserved (5.10.4).
inline constexpr std::uint64_t host_cid = 2;
inline constexpr std::uint64_t min_guest_cid = 3;
inline constexpr std::uint64_t max_guest_cid = 0xFFFF'FFFE;

// A context id. 64 bits, but the packets' headers are aligned by 32 only.
struct Cid {
    std::uint32_t low;
    std::uint32_t high;

    static constexpr Cid of(std::uint64_t value) {
        return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)};
    }
    [[nodiscard]] constexpr std::uint64_t value() const { return std::uint64_t{high} << 32 | low; }
};

enum class Type : std::uint16_t { stream = 1, seqpacket = 2 };

enum class Operation : std::uint16_t {
    invalid = 0,
    request = 1,
    response = 2,
    rst = 3,
    shutdown = 4,
    rw = 5,
    credit_update = 6,
    credit_request = 7,
};

// Flags of Operation::shutdown: what the sender will not do any more.
namespace shutdown_flag {
inline constexpr std::uint32_t receive = 1;
inline constexpr std::uint32_t send = 2;
inline constexpr std::uint32_t both = receive | send;
}  // namespace shutdown_flag

// Before the payload. The last two are the sender's credit: how much it buffers in all, and how
// much of what it was sent has left that buffer (5.10.6.3).
struct Header {
    Cid src_cid;
    Cid dst_cid;
    std::uint32_t src_port;
    std::uint32_t dst_port;
    std::uint32_t len;  // of the payload
    Type type;
    Operation op;
    std::uint32_t flags;
    std::uint32_t buf_alloc;
    std::uint32_t fwd_cnt;  // free-running
};
static_assert(sizeof(Header) == 44);

enum class EventId : std::uint32_t { transport_reset = 0 };

struct Event {
    EventId id;
};
static_assert(sizeof(Event) == 4);

}  // namespace shoal::abi::virtio::vsock
