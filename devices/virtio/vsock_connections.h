// VsockConnections: all connections of a vsock device, whose turn it is among them, and the packets
// that belong to none of them and are answered by RST.
//
// A guest chooses ports as it likes: the table's hash has a secret, so that it cannot choose them
// to be slow. No locks: the device holds its mutex.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "devices/virtio/vsock_connection.h"

namespace shoal::virtio {

class VsockConnections {
public:
    using Header = abi::virtio::vsock::Header;

    // How many RSTs may wait for the guest's buffers. A guest that does not take them finds its own
    // packets not taken (5.10.6.1.1).
    static constexpr std::size_t max_refusals = 256;

    VsockConnections(std::size_t max_connections, VsockMetrics& metrics);

    [[nodiscard]] bool is_full() const noexcept { return table_.size() >= max_connections_; }
    [[nodiscard]] std::size_t size() const noexcept { return table_.size(); }
    [[nodiscard]] VsockConnection* find(const VsockPorts& ports) const noexcept;
    // A port of the host for a connection to `guest_port`; there is one unless the table is full.
    [[nodiscard]] std::uint32_t assign_host_port(std::uint32_t guest_port) noexcept;
    // Its ports are not in the table, which is not full.
    void add(std::unique_ptr<VsockConnection> connection) noexcept;

    // After whatever happened to a connection: it queues for its turn, or it is destroyed.
    void settle(VsockConnection& connection) noexcept;
    // Settles each. True: some wait for a deadline.
    [[nodiscard]] bool tick() noexcept;

    // The packet cannot be taken: the guest is to hear RST, unless it is one.
    void refuse(const Header& packet) noexcept;
    [[nodiscard]] bool may_refuse() const noexcept { return refusals_.size() < max_refusals; }

    [[nodiscard]] bool has_packet() const noexcept { return !refusals_.empty() || !ready_.empty(); }
    [[nodiscard]] std::optional<Header> take_refusal() noexcept;
    // The one whose turn it is; to be settled.
    [[nodiscard]] VsockConnection* take_ready() noexcept;

    // Moves all connections, abandoned, to `into`, and forgets the refusals. Any thread.
    void abandon_all(std::vector<std::unique_ptr<VsockConnection>>& into) noexcept;

private:
    struct Hash {
        std::uint64_t secret;
        std::size_t operator()(const VsockPorts& ports) const noexcept;
    };
    using Table = std::unordered_map<VsockPorts, std::unique_ptr<VsockConnection>, Hash>;

    std::size_t max_connections_;
    VsockMetrics& metrics_;
    Table table_;
    boost::intrusive::list<VsockConnection, boost::intrusive::constant_time_size<false>> ready_;
    std::deque<Header> refusals_;
    std::uint32_t last_host_port_;
};

}  // namespace shoal::virtio
