// VsockConnection: one stream between a port of the guest and a unix socket (virtio 1.2, 5.10.6).
//
// What the guest is to be told waits as one bit for each kind of packet, so that a guest that gives
// no buffers fills nothing. Bytes to the guest wait in the unix socket; bytes from it are written
// to the socket at once, and what does not fit waits in a buffer that its credit cannot exceed.
// The socket is watched edge-triggered: the connection remembers that it is readable.
// No locks: the device holds its mutex. All but abandon() on the event-loop thread.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "devices/abi/virtio_vsock.h"
#include "devices/backend/vsock_buffer.h"
#include "devices/backend/vsock_socket.h"
#include "devices/host/reactor.h"
#include "devices/virtio/vsock_credit.h"
#include "devices/virtio/vsock_metrics.h"
#include "devices/virtio/vsock_packet.h"

namespace shoal::virtio {

// What a connection is known by.
struct VsockPorts {
    std::uint32_t host = 0;
    std::uint32_t guest = 0;

    friend bool operator==(const VsockPorts&, const VsockPorts&) = default;
};

// Connections that have a packet for the guest stand in a queue.
using VsockReadyHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

class VsockConnection final : public host::EventHandler, public VsockReadyHook {
public:
    using Header = abi::virtio::vsock::Header;

    // Ticks until a guest that does not answer is given up; Firecracker waits 2 s.
    static constexpr std::uint32_t patience_ticks = 2;

    class Owner {
    public:
        virtual ~Owner() = default;
        // The owner may destroy the connection.
        virtual void on_socket_events(VsockConnection& connection,
                                      std::uint32_t events) noexcept = 0;
    };
    // All connections' surroundings. Outlives them.
    struct Context {
        host::Reactor& reactor;
        Owner& owner;
        VsockMetrics& metrics;
    };

    // The guest asked for it: it is open, and the guest's first packet said what it has room for.
    VsockConnection(const Context& context, VsockPorts ports, backend::VsockSocket socket,
                    const Header& request) noexcept;
    // A host program asked for it: the guest is asked.
    VsockConnection(const Context& context, VsockPorts ports, backend::VsockSocket socket) noexcept;
    ~VsockConnection() override;
    VsockConnection(const VsockConnection&) = delete;
    VsockConnection& operator=(const VsockConnection&) = delete;

    // Once, before all else. False: the host cannot watch the socket.
    [[nodiscard]] bool start() noexcept;

    [[nodiscard]] const VsockPorts& ports() const noexcept { return ports_; }
    // Nothing is left to tell the guest, or to hear from it.
    [[nodiscard]] bool is_over() const noexcept { return state_ == State::closed && due_ == 0; }
    [[nodiscard]] bool has_deadline() const noexcept { return ticks_left_ != 0; }
    void tick() noexcept;

    // A packet of the guest.
    void receive(const Header& header, const VsockPayload& payload) noexcept;
    // The socket is ready for something.
    void take_events(std::uint32_t events) noexcept;

    // Whether next_packet() may have one.
    [[nodiscard]] bool has_packet() const noexcept;
    // The next one for the guest; its payload is in `room`, of which the caller makes sure that it
    // is not empty. The header lacks the cids. None: the socket had nothing after all.
    [[nodiscard]] std::optional<Header> next_packet(VsockPayload& room) noexcept;

    // The driver is gone: nothing is due, the socket is closed at destruction. Any thread.
    void abandon() noexcept;

private:
    enum class State {
        requested,  // the guest has not answered yet
        open,
        closed,  // the socket, that is; the guest may have to be told
    };
    using Operation = abi::virtio::vsock::Operation;

    void on_events(std::uint32_t events) noexcept override {
        context_.owner.on_socket_events(*this, events);
    }

    void receive_response() noexcept;
    void receive_shutdown(std::uint32_t flags) noexcept;
    void receive_bytes(const VsockPayload& payload) noexcept;
    void flush() noexcept;
    void stop_writing(std::size_t lost_bytes) noexcept;
    void follow_guest_shutdown() noexcept;
    void follow_hang_up() noexcept;
    [[nodiscard]] std::optional<Header> read_socket(VsockPayload& room) noexcept;
    void see_end_of_socket() noexcept;
    void ask_for_credit() noexcept;
    void count_forwarded(std::size_t size_bytes) noexcept;

    void kill() noexcept;
    void close() noexcept;
    void close_socket() noexcept;

    [[nodiscard]] bool is_readable() const noexcept;
    [[nodiscard]] bool guest_receives() const noexcept;
    void set_due(Operation op) noexcept { due_ |= 1U << static_cast<unsigned>(op); }
    [[nodiscard]] bool is_due(Operation op) const noexcept {
        return (due_ & 1U << static_cast<unsigned>(op)) != 0;
    }
    [[nodiscard]] bool take_due(Operation op) noexcept;
    [[nodiscard]] Header make_header(Operation op) noexcept;

    const Context& context_;
    const VsockPorts ports_;
    backend::VsockSocket socket_;
    backend::VsockBuffer buffer_;
    VsockCredit credit_{backend::VsockBuffer::capacity};
    State state_;
    std::uint32_t due_ = 0;  // a bit for each Operation
    std::uint32_t ticks_left_ = 0;
    // abi::virtio::vsock::shutdown_flag, of each side; and what the guest was told of the host's.
    std::uint32_t guest_shutdown_ = 0;
    std::uint32_t host_shutdown_ = 0;
    std::uint32_t told_shutdown_ = 0;
    bool readable_ = false;
    bool ends_ = false;          // after what is readable the other side sends no more
    bool at_end_ = false;        // and that has been read
    bool hung_up_ = false;       // the other side does neither send nor receive
    bool credit_asked_ = false;  // until there is some
};

}  // namespace shoal::virtio
