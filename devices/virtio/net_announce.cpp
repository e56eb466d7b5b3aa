// Telling a network where the guest is now.
#include <array>
#include <cstring>
#include <mutex>

#include "devices/virtio/net.h"

namespace shoal::virtio {
namespace {

constexpr std::size_t frame_bytes = 60;  // Ethernet's least, without its checksum
using Frame = std::array<std::byte, frame_bytes>;

// RFC 903: "who am I?", asked by the guest of everybody. It needs no IP address, nobody has to
// answer, and every switch on its way learns behind which port the address is.
Frame reverse_arp(const abi::virtio::net::MacAddress& mac) {
    constexpr std::size_t source_at = 6;
    constexpr std::array<std::uint8_t, 10> type_and_head{
        0x80, 0x35,        // RARP
        0,    1,    8, 0,  // of Ethernet and IPv4 addresses,
        6,    4,           // which have so many bytes
        0,    3,           // request
    };
    constexpr std::size_t head_at = 12;
    constexpr std::size_t sender_at = 22;
    constexpr std::size_t target_at = 32;
    Frame frame{};
    std::memset(frame.data(), 0xFF, source_at);
    std::memcpy(frame.data() + source_at, mac.data(), mac.size());
    std::memcpy(frame.data() + head_at, type_and_head.data(), type_and_head.size());
    std::memcpy(frame.data() + sender_at, mac.data(), mac.size());
    std::memcpy(frame.data() + target_at, mac.data(), mac.size());
    return frame;
}

}  // namespace

void Net::announce() noexcept {
    const std::scoped_lock lock{mutex()};
    if (!config_.guest_mac) {
        return;
    }
    abi::virtio::net::Header header{};
    Frame frame = reverse_arp(*config_.guest_mac);
    const std::array<iovec, 2> pieces{{{&header, sizeof header}, {frame.data(), frame.size()}}};
    // A TAP that takes nothing now loses it, as a wire might.
    static_cast<void>(tap_.write(pieces));
}

}  // namespace shoal::virtio
