// The virtio console (virtio 1.2, 5.3): features, configuration, control messages.
#pragma once

#include <cstdint>

namespace shoal::abi::virtio::console {

inline constexpr std::uint64_t feature_size = 1ULL << 0;
inline constexpr std::uint64_t feature_multiport = 1ULL << 1;

struct Config {
    std::uint16_t columns;
    std::uint16_t rows;
    std::uint32_t max_ports;
    std::uint32_t emergency_write;
};
static_assert(sizeof(Config) == 12);
inline constexpr std::uint64_t config_max_ports_offset = 4;

// Queues: 0 and 1 are port 0's, 2 and 3 the control queues, then two for each further port.
inline constexpr std::uint32_t control_receive_queue = 2;
inline constexpr std::uint32_t control_transmit_queue = 3;
constexpr std::uint32_t receive_queue(std::uint32_t port) {
    return port == 0 ? 0 : 2 + 2 * port;
}
constexpr std::uint32_t transmit_queue(std::uint32_t port) {
    return receive_queue(port) + 1;
}

enum class Event : std::uint16_t {
    device_ready = 0,  // driver: value 1 is success
    port_add = 1,      // device
    port_remove = 2,   // device
    port_ready = 3,    // driver
    console_port = 4,  // device: this port is for a console
    resize = 5,        // device
    port_open = 6,     // both: value 1 is open, 0 closed
    port_name = 7,     // device: the name follows
};

struct Control {
    std::uint32_t port;
    Event event;
    std::uint16_t value;
};
static_assert(sizeof(Control) == 8);

}  // namespace shoal::abi::virtio::console
