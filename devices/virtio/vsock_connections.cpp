// The table of connections.
#include "devices/virtio/vsock_connections.h"

#include <sys/random.h>

#include <utility>

namespace shoal::virtio {

using abi::virtio::vsock::Operation;

namespace {

// Firecracker's: host ports that we assign are above those that programs choose.
constexpr std::uint32_t first_assigned_port = 1U << 30;

// When the kernel has no randomness yet, microVMs are the least of its problems: 0 will do.
std::uint64_t make_secret() noexcept {
    std::uint64_t secret = 0;
    [[maybe_unused]] const auto count = ::getrandom(&secret, sizeof secret, GRND_NONBLOCK);
    return secret;
}

}  // namespace

// The finalizer of SplitMix64: each bit of the ports and of the secret moves half of the result.
std::size_t VsockConnections::Hash::operator()(const VsockPorts& ports) const noexcept {
    std::uint64_t mixed = (std::uint64_t{ports.host} << 32 | ports.guest) ^ secret;
    mixed = (mixed ^ mixed >> 30) * 0xBF58'476D'1CE4'E5B9;
    mixed = (mixed ^ mixed >> 27) * 0x94D0'49BB'1331'11EB;
    return mixed ^ mixed >> 31;
}

VsockConnections::VsockConnections(std::size_t max_connections, VsockMetrics& metrics)
    : max_connections_{max_connections},
      metrics_{metrics},
      table_(0, Hash{make_secret()}),
      last_host_port_{first_assigned_port - 1} {}

VsockConnection* VsockConnections::find(const VsockPorts& ports) const noexcept {
    const auto found = table_.find(ports);
    return found != table_.end() ? found->second.get() : nullptr;
}

std::uint32_t VsockConnections::assign_host_port(std::uint32_t guest_port) noexcept {
    do {
        last_host_port_ = (last_host_port_ + 1) | first_assigned_port;
        last_host_port_ &= 2 * first_assigned_port - 1;
    } while (find({last_host_port_, guest_port}) != nullptr);
    return last_host_port_;
}

void VsockConnections::add(std::unique_ptr<VsockConnection> connection) noexcept {
    ++metrics_.conns_added;
    VsockConnection& added = *connection;
    table_.emplace(added.ports(), std::move(connection));
    settle(added);
}

void VsockConnections::settle(VsockConnection& connection) noexcept {
    if (connection.is_over()) {
        ++metrics_.conns_removed;
        table_.erase(connection.ports());
    } else if (connection.has_packet() && !connection.is_linked()) {
        ready_.push_back(connection);
    }
}

bool VsockConnections::tick() noexcept {
    bool again = false;
    for (auto next = table_.begin(); next != table_.end();) {
        VsockConnection& connection = *(next++)->second;
        connection.tick();
        again = again || connection.has_deadline();
        settle(connection);
    }
    return again;
}

void VsockConnections::refuse(const Header& packet) noexcept {
    if (packet.op == Operation::rst) {
        return;
    }
    Header answer{};
    answer.src_port = packet.dst_port;
    answer.dst_port = packet.src_port;
    answer.type = packet.type;
    answer.op = Operation::rst;
    refusals_.push_back(answer);
}

std::optional<VsockConnections::Header> VsockConnections::take_refusal() noexcept {
    if (refusals_.empty()) {
        return std::nullopt;
    }
    const Header answer = refusals_.front();
    refusals_.pop_front();
    return answer;
}

VsockConnection* VsockConnections::take_ready() noexcept {
    if (ready_.empty()) {
        return nullptr;
    }
    VsockConnection& first = ready_.front();
    ready_.pop_front();
    return &first;
}

void VsockConnections::abandon_all(std::vector<std::unique_ptr<VsockConnection>>& into) noexcept {
    for (auto& [ports, connection] : table_) {
        connection->abandon();
        into.push_back(std::move(connection));
        ++metrics_.conns_removed;
    }
    table_.clear();
    refusals_.clear();
}

}  // namespace shoal::virtio
