// The flow of packets through the device's queues.
#include <algorithm>
#include <utility>

#include "devices/virtio/vsock.h"

namespace shoal::virtio {

namespace vsock = abi::virtio::vsock;

namespace {

// In each direction. A packet is 4 KiB, with Linux, or 64 KiB.
constexpr Allowance allowance_per_turn{.chains = 32};
constexpr std::size_t max_payload_bytes = 64 * 1024;

}  // namespace

void Vsock::process() noexcept {
    close_abandoned();
    end_turn(process_all());
}

Done Vsock::process_all() noexcept {
    if (Done done = take_packets(); !done) {
        return done;
    }
    if (Done done = give_packets(allowance_per_turn); !done) {
        return done;
    }
    return give_event();
}

// A transmit queue that waited for refusals to be taken goes on.
void Vsock::end_turn(const Done& done) noexcept {
    Transport& transport = *transport_;
    virtio::end_turn(*this, transport, queues_, done);
    if (out_of_refusals_ && connections_.may_refuse()) {
        out_of_refusals_ = false;
        transport.process_again();
    }
}

// ---- from the guest -----------------------------------------------------------------------------

Done Vsock::take_packets() noexcept {
    Queue& transmit = queues_[vsock::transmit_queue];
    transmit.suppress_notifications();
    Allowance allowance = allowance_per_turn;
    bool is_first = true;
    while (allowance.take_chain()) {
        if (!connections_.may_refuse()) {
            out_of_refusals_ = true;
            return {};
        }
        const auto chain = transmit.pop();
        if (!chain) {
            return std::unexpected(chain.error());
        }
        if (*chain) {
            metrics_.tx_queue_event_count += std::exchange(is_first, false) ? 1U : 0U;
            allowance.spend(take_packet(**chain));
            transmit.push_used((*chain)->head, 0);
        } else if (!transmit.enable_notifications()) {
            return {};
        }
    }
    transport_->process_again();
    return {};
}

std::size_t Vsock::take_packet(const Chain& chain) noexcept {
    const auto header = read_header(chain.readable);
    if (!header || header->src_cid.value() != config_.guest_cid ||
        header->dst_cid.value() != vsock::host_cid) {
        ++metrics_.tx_malformed_count;
        return 0;
    }
    payload_.assign(chain.readable, header->len);
    if (payload_.size_bytes() != header->len) {
        ++metrics_.tx_malformed_count;
        return 0;
    }
    ++metrics_.tx_packets_count;
    if (header->type != vsock::Type::stream) {
        connections_.refuse(*header);
        return 0;
    }
    if (VsockConnection* const found = connections_.find({header->dst_port, header->src_port})) {
        found->receive(*header, payload_);
        connections_.settle(*found);
    } else if (header->op == vsock::Operation::request) {
        connect_to_host(*header);
    } else {
        connections_.refuse(*header);
    }
    return payload_.size_bytes();
}

void Vsock::connect_to_host(const Header& request) noexcept {
    if (!connections_.is_full()) {
        auto socket = backend::VsockSocket::try_connect(config_.uds_path + "_" +
                                                        std::to_string(request.dst_port));
        if (socket) {
            auto connection = std::make_unique<VsockConnection>(
                context_, VsockPorts{request.dst_port, request.src_port}, *std::move(socket),
                request);
            if (connection->start()) {
                connections_.add(std::move(connection));
                return;
            }
        }
    }
    ++metrics_.conns_refused;
    connections_.refuse(request);
}

// ---- to the guest -------------------------------------------------------------------------------

Done Vsock::give_packets(Allowance allowance) noexcept {
    bool is_first = true;
    while (connections_.has_packet() && allowance.take_chain()) {
        const auto prepared = prepare_chain();
        if (!prepared) {
            return std::unexpected(prepared.error());
        }
        if (!*prepared) {
            return {};
        }
        metrics_.rx_queue_event_count += std::exchange(is_first, false) ? 1U : 0U;
        if (auto header = next_packet()) {
            header->src_cid = vsock::Cid::of(vsock::host_cid);
            header->dst_cid = vsock::Cid::of(config_.guest_cid);
            write_header(giving_->writable, *header);
            ++metrics_.rx_packets_count;
            allowance.spend(header->len);
            queues_[vsock::receive_queue].push_used(
                giving_->head, static_cast<std::uint32_t>(sizeof *header) + header->len);
            giving_.reset();
        }
    }
    if (connections_.has_packet()) {
        transport_->process_again();
    }
    return {};
}

std::optional<Vsock::Header> Vsock::next_packet() noexcept {
    if (const auto refusal = connections_.take_refusal()) {
        return refusal;
    }
    VsockConnection* const connection = connections_.take_ready();
    if (connection == nullptr) {
        return std::nullopt;
    }
    payload_.assign(giving_->writable, max_payload_bytes);
    const auto header = connection->next_packet(payload_);
    if (connection->has_deadline()) {
        keep_ticking();
    }
    connections_.settle(*connection);
    return header;
}

// Makes sure that a buffer is at hand, if the driver gave one.
std::expected<bool, QueueError> Vsock::prepare_chain() noexcept {
    if (giving_) {
        return true;
    }
    Queue& receive = queues_[vsock::receive_queue];
    const auto chain = receive.pop_or_listen();
    if (!chain) {
        return std::unexpected(chain.error());
    }
    if (!*chain) {
        return false;
    }
    payload_.assign((*chain)->writable, max_payload_bytes);
    if (payload_.size_bytes() == 0) {
        return std::unexpected(QueueError::unusable_buffer);
    }
    giving_ = **chain;
    receive.suppress_notifications();  // more buffers are of no interest before they run out
    return true;
}

// Unused, which the driver takes for a packet too short to be one: so that none is on its way.
void Vsock::give_chain_back() noexcept {
    if (giving_) {
        queues_[vsock::receive_queue].push_used(giving_->head, 0);
        giving_.reset();
    }
}

// The driver's buffers for events are taken as they are needed.
Done Vsock::give_event() noexcept {
    if (!event_due_) {
        return {};
    }
    Queue& events = queues_[vsock::event_queue];
    const auto chain = events.pop_or_listen();
    if (!chain) {
        return std::unexpected(chain.error());
    }
    if (!*chain) {
        return {};
    }
    const vsock::Event event{vsock::EventId::transport_reset};
    auto rest = std::as_bytes(std::span{&event, 1});
    for (const std::span<std::byte> buffer : (*chain)->writable) {
        const std::size_t count = std::min(buffer.size(), rest.size());
        std::ranges::copy(rest.first(count), buffer.begin());
        rest = rest.subspan(count);
    }
    if (!rest.empty()) {
        return std::unexpected(QueueError::unusable_buffer);
    }
    events.push_used((*chain)->head, sizeof event);
    event_due_ = false;
    return {};
}

}  // namespace shoal::virtio
