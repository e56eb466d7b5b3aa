// Vsock: a virtio socket device (virtio 1.2, 5.10) whose host side is unix sockets, as Firecracker
// has them.
//
// Host to guest: a program connects to `uds_path` and says "CONNECT <port>\n"; when the guest
// accepts it hears "OK <host's port>\n", else the connection is closed. Guest to host: a port of
// the host is whoever listens at `uds_path`_<port>. Streams only.
// Sockets are served on the event loop; the device's mutex guards everything. Reset may come on a
// vCPU's thread: connections end there, but their sockets are closed on the event loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "devices/backend/vsock_greeter.h"
#include "devices/backend/vsock_timer.h"
#include "devices/host/metrics.h"
#include "devices/host/reactor.h"
#include "devices/virtio/allowance.h"
#include "devices/virtio/device.h"
#include "devices/virtio/end_turn.h"
#include "devices/virtio/vsock_connections.h"
#include "devices/virtio/vsock_metrics.h"
#include "devices/virtio/vsock_packet.h"

namespace shoal::virtio {

struct VsockConfig {
    std::uint64_t guest_cid = abi::virtio::vsock::min_guest_cid;
    std::string uds_path;

    friend bool operator==(const VsockConfig&, const VsockConfig&) = default;
};

struct VsockLimits {
    // Each has a descriptor; and up to 64 KiB while its unix socket is full.
    std::size_t max_connections = 4096;
    // Host programs that do not say what they want, and guests that do not answer, are given up
    // after 2 to 3 of these.
    std::uint32_t tick_ms = 1000;
};

// To save. Connections do not survive: the restored guest is told (5.10.6.7).
struct VsockState {
    VsockConfig config;

    friend bool operator==(const VsockState&, const VsockState&) = default;
};

class Vsock final : public Device,
                    private backend::VsockGreeter::Sink,
                    private backend::VsockTimer::Client,
                    private VsockConnection::Owner {
public:
    // Listens at the path. Borrows the reactor. Throws std::invalid_argument for a cid that is
    // reserved or a path that is too long, and std::system_error when it cannot listen there.
    Vsock(const VsockConfig& config, host::Reactor& reactor, const VsockLimits& limits = {});
    // Before it is active. Throws as the constructor does.
    void set_guest_cid(std::uint64_t guest_cid);
    // Whether host programs find it: its path may have been removed.
    [[nodiscard]] bool is_at_its_path() const noexcept { return greeter_.is_at_its_path(); }
    // On the event-loop thread, or while nobody dispatches.
    ~Vsock() override;

    // Closes all connections and tells the guest that they are gone (TRANSPORT_RESET). Before a
    // snapshot is taken.
    void reset_connections() noexcept;

    [[nodiscard]] VsockState save() const;
    // A device that was made with the state's configuration, or with another path: the guest is
    // told that its connections are gone as soon as it can be.
    void restore(const VsockState& state) noexcept;

    void report(host::MetricSink& sink) const;
    [[nodiscard]] VsockMetrics metrics() const noexcept;
    [[nodiscard]] std::size_t connection_count() const noexcept;

    [[nodiscard]] std::uint32_t device_id() const noexcept override;
    [[nodiscard]] std::uint64_t features() const noexcept override;
    [[nodiscard]] std::uint32_t queue_count() const noexcept override;
    [[nodiscard]] std::uint32_t queue_size_max() const noexcept override { return 256; }
    void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override;
    void write_config(std::uint64_t, std::span<const std::byte>) noexcept override {}
    void activate(std::uint64_t features, std::span<Queue> queues,
                  Transport& transport) noexcept override;
    void stop_queue(std::uint32_t idx) noexcept override;
    void reset() noexcept override;
    void process() noexcept override;

private:
    using Header = abi::virtio::vsock::Header;

    void on_connect_request(std::uint32_t port, host::UniqueFd socket) noexcept override;
    void on_socket_events(VsockConnection& connection, std::uint32_t events) noexcept override;
    void on_timer() noexcept override;

    // The three queues, in vsock_queues.cpp.
    [[nodiscard]] Done process_all() noexcept;
    [[nodiscard]] Done take_packets() noexcept;
    // How many bytes of payload it had.
    [[nodiscard]] std::size_t take_packet(const Chain& chain) noexcept;
    [[nodiscard]] Done give_packets(Allowance allowance) noexcept;
    [[nodiscard]] std::expected<bool, QueueError> prepare_chain() noexcept;
    [[nodiscard]] std::optional<Header> next_packet() noexcept;
    void give_chain_back() noexcept;
    [[nodiscard]] Done give_event() noexcept;
    void end_turn(const Done& done) noexcept;

    void connect_to_host(const Header& request) noexcept;
    void keep_ticking() noexcept;
    void abandon_connections() noexcept;
    void close_abandoned() noexcept;

    VsockConfig config_;
    const std::uint32_t tick_ms_;
    VsockMetrics metrics_;
    const VsockConnection::Context context_;
    VsockConnections connections_;
    // Of before a reset: still watched, until the event loop comes by.
    std::vector<std::unique_ptr<VsockConnection>> abandoned_;
    Transport* transport_ = nullptr;  // while the device is active
    std::span<Queue> queues_;         // empty while it is not
    std::optional<Chain> giving_;     // popped from the receive queue and not used yet
    VsockPayload payload_;            // of the packet at hand
    bool event_due_ = false;          // TRANSPORT_RESET
    bool out_of_refusals_ = false;    // the transmit queue waits for the receive queue
    bool ticking_ = false;            // the timer was started
    backend::VsockTimer timer_;
    backend::VsockGreeter greeter_;  // last: it calls as soon as it is there
};

}  // namespace shoal::virtio
