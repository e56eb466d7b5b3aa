// Fuzzes what the unikernel does with the socket device's packets: the input is one packet after
// the other, as the device writes them.
//
// A payload lies within what was written, and a connection holds at most its buffer.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "devices/host/check.h"
#include "guest/drivers/vsock_packet.h"
#include "guest/kernel/net/vsock_buffer.h"
#include "tests/fuzz/input.h"

using namespace shoal::guest;

namespace {

constexpr std::uint64_t guest_cid = 3;

void read_some(VsockBuffer& buffer, VsockCredit& credit, std::size_t wanted) {
    std::vector<std::byte> bytes(std::min(wanted, buffer.size()));
    SpanDestination to{bytes};
    if (!bytes.empty()) {
        SHOAL_CHECK(buffer.copy(to, bytes.size()));
        buffer.discard(bytes.size());
        credit.count_taken(static_cast<std::uint32_t>(bytes.size()));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    shoal::fuzz::Input input{data, size_bytes};
    VsockBuffer buffer;
    VsockCredit credit{VsockBuffer::capacity};
    while (!input.empty()) {
        const auto taken = input.take_bytes(input.take<std::uint8_t>());
        const std::vector<std::byte> written{taken.begin(), taken.end()};
        if (const auto packet = parse_vsock_packet(written, guest_cid)) {
            SHOAL_CHECK(packet->payload.size() + sizeof packet->header <= written.size());
            credit.hear(packet->header);
            SHOAL_CHECK(credit.room() <= packet->header.buf_alloc);
            const std::size_t before = buffer.size();
            const bool is_taken = buffer.append(packet->payload);
            SHOAL_CHECK(buffer.size() == before + (is_taken ? packet->payload.size() : 0));
        }
        credit.count_sent(std::min<std::uint32_t>(credit.room(), input.take<std::uint16_t>()));
        read_some(buffer, credit, input.take<std::uint8_t>());
    }
    return 0;
}
