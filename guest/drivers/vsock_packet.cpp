// What the host's packets must be.
#include "guest/drivers/vsock_packet.h"

#include <cstring>

namespace shoal::guest {

using namespace abi::virtio::vsock;

std::optional<VsockPacket> parse_vsock_packet(std::span<const std::byte> bytes,
                                              std::uint64_t guest_cid) {
    Header header;
    if (bytes.size() < sizeof header) {
        return std::nullopt;
    }
    std::memcpy(&header, bytes.data(), sizeof header);
    const auto rest = bytes.subspan(sizeof header);
    if (header.len > rest.size() || header.src_cid.value() != host_cid ||
        header.dst_cid.value() != guest_cid) {
        return std::nullopt;
    }
    const bool has_payload = header.op == Operation::rw;
    return VsockPacket{header, rest.first(has_payload ? header.len : 0)};
}

void VsockCredit::hear(const Header& header) {
    peer_buffer_bytes_ = header.buf_alloc;
    peer_taken_ = header.fwd_cnt;
}

std::uint32_t VsockCredit::room() const {
    const std::uint32_t in_flight = sent_ - peer_taken_;
    return in_flight < peer_buffer_bytes_ ? peer_buffer_bytes_ - in_flight : 0;
}

void VsockCredit::tell(Header& header) {
    header.buf_alloc = buffer_bytes_;
    header.fwd_cnt = told_ = taken_;
}

}  // namespace shoal::guest
