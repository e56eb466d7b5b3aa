// VsockTransport: which vsock socket a packet is for. Made when the first socket is used, so that a
// program without any pays nothing; without a device sockets can be made, and reach nobody.
//
// Limits: sockets_max sockets that have a port. One that is closed is remembered for linger_ns,
// or until the host has taken all that it was sent, for as many.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "guest/drivers/virtio_vsock.h"
#include "guest/kernel/errno.h"
#include "guest/kernel/sched/event_source.h"

namespace shoal::guest {

class VsockSocket;

// The devices that there are. At boot.
void configure_vsock(std::span<const VirtioMmioDevice> devices);
// When the program has ended and its files are closed: returns when the host has what it was sent,
// or after a second.
void drain_vsock();

class VsockTransport final : public EventSource {
public:
    static constexpr std::size_t sockets_max = 1024;

    [[nodiscard]] static VsockTransport& instance();

    [[nodiscard]] bool has_device() const noexcept { return device_ != nullptr; }
    // VsockAddress::any without a device.
    [[nodiscard]] std::uint32_t guest_cid() const;

    // `wanted`, or a free one for VsockAddress::any. Errno::addrinuse, addrnotavail.
    [[nodiscard]] Result<std::uint32_t> choose_port(std::uint32_t wanted) const;
    // Borrows the socket until remove(). False when there are too many.
    [[nodiscard]] bool add(VsockSocket& socket);
    void remove(VsockSocket& socket) noexcept;
    // A connection whose SHUTDOWN was sent and whose socket is gone: the host answers with RST.
    void linger(std::uint32_t port, std::uint32_t peer_port);

    // As the driver's. A packet reaches the host at the next flush().
    void send_control(const abi::virtio::vsock::Header& header);
    [[nodiscard]] std::span<std::byte> payload_room();
    void send_data(const abi::virtio::vsock::Header& header) { device_->send_data(header); }
    void flush();
    // Takes what has arrived.
    void poll();

    void take_events() override;
    [[nodiscard]] std::uint64_t deadline_ns() const override;
    [[nodiscard]] bool is_drained();

private:
    static constexpr std::uint64_t linger_ns = 8'000'000'000;  // as Linux
    static constexpr std::uint32_t packets_per_turn = 256;

    struct Lingering {
        std::uint32_t port;
        std::uint32_t peer_port;
        std::uint64_t until_ns;

        [[nodiscard]] bool is_of(const abi::virtio::vsock::Header& header) const noexcept {
            return port == header.dst_port && peer_port == header.src_port;
        }
    };

    VsockTransport();
    void deliver(const VsockPacket& packet);
    [[nodiscard]] VsockSocket* find_connection(std::uint32_t port, std::uint32_t peer_port) const;
    [[nodiscard]] VsockSocket* find_owner(std::uint32_t port) const;
    // Whether it says nothing new about a connection that is closed already.
    [[nodiscard]] bool is_for_lingering(const abi::virtio::vsock::Header& header) const;
    void forget_lingering(const abi::virtio::vsock::Header& header);
    void send_rst(std::uint32_t port, std::uint32_t peer_port);
    void end_lingering();

    VirtioVsock* device_ = nullptr;
    std::vector<VsockSocket*> sockets_{};
    std::vector<Lingering> lingering_{};
    bool was_full_ = false;
    bool has_more_ = false;
};

}  // namespace shoal::guest
