// Packets as the socket device may write them, and the credit that they carry.
#include "guest/drivers/vsock_packet.h"

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

namespace shoal::guest {
namespace {

using namespace abi::virtio::vsock;

constexpr std::uint64_t guest_cid = 3;

Header header_of(Operation op, std::uint32_t len) {
    Header header{};
    header.src_cid = Cid::of(host_cid);
    header.dst_cid = Cid::of(guest_cid);
    header.len = len;
    header.type = Type::stream;
    header.op = op;
    return header;
}

std::vector<std::byte> bytes_of(const Header& header, std::size_t payload_bytes) {
    std::vector<std::byte> bytes(sizeof header + payload_bytes, std::byte{0x5A});
    std::memcpy(bytes.data(), &header, sizeof header);
    return bytes;
}

TEST_CASE("a packet's payload is as long as its header says") {
    const auto bytes = bytes_of(header_of(Operation::rw, 5), 9);
    const auto packet = parse_vsock_packet(bytes, guest_cid);
    REQUIRE(packet);
    CHECK(packet->header.op == Operation::rw);
    CHECK(packet->payload.size() == 5);
    CHECK(packet->payload.data() == bytes.data() + sizeof(Header));
}

TEST_CASE("a packet that is shorter than its header or than it says is none") {
    const auto bytes = bytes_of(header_of(Operation::rw, 5), 5);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CHECK(!parse_vsock_packet(std::span{bytes}.first(size), guest_cid));
    }
    CHECK(parse_vsock_packet(bytes, guest_cid));
    CHECK(!parse_vsock_packet(bytes_of(header_of(Operation::rw, UINT32_MAX), 5), guest_cid));
}

TEST_CASE("a packet from or for somebody else is none") {
    Header header = header_of(Operation::request, 0);
    header.src_cid = Cid::of(4);
    CHECK(!parse_vsock_packet(bytes_of(header, 0), guest_cid));
    header.src_cid = Cid{static_cast<std::uint32_t>(host_cid), 1};
    CHECK(!parse_vsock_packet(bytes_of(header, 0), guest_cid));
    header = header_of(Operation::request, 0);
    CHECK(!parse_vsock_packet(bytes_of(header, 0), guest_cid + 1));
}

TEST_CASE("only packets of data have a payload") {
    const auto packet = parse_vsock_packet(bytes_of(header_of(Operation::shutdown, 5), 5), 3);
    REQUIRE(packet);
    CHECK(packet->payload.empty());
}

TEST_CASE("credit is the peer's buffer without what is under way, across the counters' end") {
    VsockCredit credit{4096};
    CHECK(credit.room() == 0);
    Header header{};
    header.buf_alloc = 1000;
    header.fwd_cnt = 0;
    credit.hear(header);
    CHECK(credit.room() == 1000);
    credit.count_sent(600);
    CHECK(credit.room() == 400);
    header.fwd_cnt = 600;
    credit.hear(header);
    CHECK(credit.room() == 1000);
    credit.count_sent(UINT32_MAX - 599);
    header.fwd_cnt = UINT32_MAX - 9;
    credit.hear(header);
    CHECK(credit.room() == 990);
}

TEST_CASE("a peer that took more than it was sent, or shrank its buffer, gets nothing") {
    VsockCredit credit{4096};
    Header header{};
    header.buf_alloc = 1000;
    header.fwd_cnt = 1;
    credit.hear(header);
    CHECK(credit.room() == 0);
    header.fwd_cnt = 0;
    credit.hear(header);
    credit.count_sent(800);
    header.buf_alloc = 100;
    credit.hear(header);
    CHECK(credit.room() == 0);
}

TEST_CASE("an update is due when a quarter of the buffer is free that the peer does not know of") {
    VsockCredit credit{4096};
    credit.count_taken(1023);
    CHECK(!credit.is_update_due());
    credit.count_taken(1);
    CHECK(credit.is_update_due());
    Header header{};
    credit.tell(header);
    CHECK(header.buf_alloc == 4096);
    CHECK(header.fwd_cnt == 1024);
    CHECK(!credit.is_update_due());
}

}  // namespace
}  // namespace shoal::guest
