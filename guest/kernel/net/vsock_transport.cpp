// The one transport: the device, ports, and where packets go.
#include "guest/kernel/net/vsock_transport.h"

#include <algorithm>
#include <utility>

#include "guest/kernel/clock.h"
#include "guest/kernel/net/vsock_socket.h"
#include "guest/kernel/random.h"
#include "guest/kernel/sched/scheduler.h"

namespace shoal::guest {

using namespace abi::virtio::vsock;

namespace {

constexpr std::uint64_t drain_limit_ns = 1'000'000'000;
// The device does not interrupt when it has taken a packet.
constexpr std::uint64_t drain_step_ns = 500'000;
constexpr std::uint32_t first_free_port = 1024;
constexpr unsigned free_port_bits = 30;

constinit VirtioMmioPlace device_place{};  // no base: there is no device
constinit VsockTransport* transport = nullptr;

}  // namespace

void configure_vsock(std::span<const VirtioMmioDevice> devices) {
    device_place = first_place(devices, abi::virtio::device_id::vsock).value_or(VirtioMmioPlace{});
}

VsockTransport& VsockTransport::instance() {
    if (transport == nullptr) {
        transport = new VsockTransport;
        add_event_source(*transport);
    }
    return *transport;
}

VsockTransport::VsockTransport() {
    sockets_.reserve(sockets_max);
    lingering_.reserve(sockets_max);
    if (device_place.base != 0) {
        device_ = VirtioVsock::start(device_place);
    }
}

std::uint32_t VsockTransport::guest_cid() const {
    return device_ != nullptr ? static_cast<std::uint32_t>(device_->guest_cid())
                              : VsockAddress::any;
}

VsockSocket* VsockTransport::find_owner(std::uint32_t port) const {
    const auto found =
        std::find_if(sockets_.begin(), sockets_.end(),
                     [port](const VsockSocket* socket) { return socket->owns_port(port); });
    return found != sockets_.end() ? *found : nullptr;
}

VsockSocket* VsockTransport::find_connection(std::uint32_t port, std::uint32_t peer_port) const {
    const auto found = std::find_if(
        sockets_.begin(), sockets_.end(),
        [=](const VsockSocket* socket) { return socket->is_connection(port, peer_port); });
    return found != sockets_.end() ? *found : nullptr;
}

// Sockets are so much fewer than ports that a free one is found at once.
Result<std::uint32_t> VsockTransport::choose_port(std::uint32_t wanted) const {
    if (wanted != VsockAddress::any) {
        return find_owner(wanted) == nullptr ? Result<std::uint32_t>{wanted}
                                             : fail(Errno::addrinuse);
    }
    std::uint32_t port = 0;
    do {
        port = first_free_port + static_cast<std::uint32_t>(random_number(free_port_bits));
    } while (find_owner(port) != nullptr);
    return port;
}

bool VsockTransport::add(VsockSocket& socket) {
    if (sockets_.size() == sockets_max) {
        return false;
    }
    sockets_.push_back(&socket);
    return true;
}

void VsockTransport::remove(VsockSocket& socket) noexcept {
    std::erase(sockets_, &socket);
}

void VsockTransport::linger(std::uint32_t port, std::uint32_t peer_port) {
    if (device_ != nullptr && lingering_.size() < sockets_max) {
        lingering_.push_back({port, peer_port, monotonic_ns() + linger_ns});
    }
}

void VsockTransport::send_control(const Header& header) {
    if (device_ != nullptr) {
        device_->send_control(header);
    }
}

std::span<std::byte> VsockTransport::payload_room() {
    const auto room = device_->payload_room();
    was_full_ = was_full_ || room.empty();
    return room;
}

void VsockTransport::flush() {
    if (device_ != nullptr) {
        device_->flush();
    }
}

void VsockTransport::poll() {
    if (device_ == nullptr) {
        return;
    }
    if (device_->take_transport_reset()) {
        lingering_.clear();
        std::for_each(sockets_.begin(), sockets_.end(),
                      [](VsockSocket* socket) { socket->on_transport_reset(); });
    }
    std::uint32_t count = 0;
    for (auto packet = device_->receive(); packet; packet = device_->receive()) {
        deliver(*packet);
        if (++count == packets_per_turn) {
            break;
        }
    }
    has_more_ = count == packets_per_turn;
    device_->flush();
}

void VsockTransport::deliver(const VsockPacket& packet) {
    const Header& header = packet.header;
    if (header.type == Type::stream) {
        if (VsockSocket* socket = find_connection(header.dst_port, header.src_port)) {
            socket->on_packet(packet);
            return;
        }
        if (is_for_lingering(header)) {
            return;
        }
        forget_lingering(header);
        VsockSocket* owner = find_owner(header.dst_port);
        if (header.op == Operation::request && owner != nullptr && owner->on_request(header)) {
            return;
        }
    }
    if (header.op != Operation::rst) {
        send_rst(header.dst_port, header.src_port);
    }
}

// The host's RST ends it, and so does data that nobody will read.
bool VsockTransport::is_for_lingering(const Header& header) const {
    const bool is_known = std::any_of(lingering_.begin(), lingering_.end(),
                                      [&](const Lingering& old) { return old.is_of(header); });
    return is_known && (header.op == Operation::credit_update ||
                        header.op == Operation::credit_request || header.op == Operation::shutdown);
}

void VsockTransport::forget_lingering(const Header& header) {
    std::erase_if(lingering_, [&](const Lingering& old) { return old.is_of(header); });
}

void VsockTransport::send_rst(std::uint32_t port, std::uint32_t peer_port) {
    Header rst{};
    rst.op = Operation::rst;
    rst.src_port = port;
    rst.dst_port = peer_port;
    device_->send_control(rst);
}

void VsockTransport::end_lingering() {
    const std::uint64_t now = monotonic_ns();
    std::erase_if(lingering_, [&](const Lingering& old) {
        if (old.until_ns > now) {
            return false;
        }
        send_rst(old.port, old.peer_port);
        return true;
    });
}

void VsockTransport::take_events() {
    if (device_ == nullptr) {
        return;
    }
    if (!lingering_.empty()) {
        end_lingering();
    }
    poll();
    if (was_full_ && !device_->payload_room().empty()) {
        was_full_ = false;
        std::for_each(sockets_.begin(), sockets_.end(),
                      [](VsockSocket* socket) { socket->on_room(); });
    }
    has_more_ = !device_->arm_interrupts() || has_more_;
}

std::uint64_t VsockTransport::deadline_ns() const {
    if (has_more_) {
        return 0;
    }
    return lingering_.empty() ? no_deadline : lingering_.front().until_ns;
}

bool VsockTransport::is_drained() {
    return device_ == nullptr || (lingering_.empty() && device_->is_idle());
}

void drain_vsock() {
    if (transport == nullptr) {
        return;
    }
    const std::uint64_t end = monotonic_ns() + drain_limit_ns;
    transport->take_events();
    while (!transport->is_drained() && monotonic_ns() < end) {
        wait_until(std::min(end, monotonic_ns() + drain_step_ns));
        transport->take_events();
    }
}

}  // namespace shoal::guest
