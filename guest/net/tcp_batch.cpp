// Headers of Ethernet, IP (RFC 791, RFC 8200) and TCP (RFC 9293).
#include "guest/net/tcp_batch.h"

#include <algorithm>
#include <cstring>

#include "guest/net/header_bytes.h"

namespace shoal::guest::net {
namespace {

constexpr std::size_t ip_at = ethernet_bytes;
constexpr std::size_t ipv4_bytes = 20;
constexpr std::size_t ipv4_length_at = ip_at + 2;
constexpr std::size_t ipv4_fragment_at = ip_at + 6;
constexpr std::size_t ipv4_protocol_at = ip_at + 9;
constexpr std::size_t ipv4_checksum_at = ip_at + 10;
constexpr std::size_t ipv4_addresses_at = ip_at + 12;
constexpr std::size_t ipv6_bytes = 40;
constexpr std::size_t ipv6_length_at = ip_at + 4;
constexpr std::size_t ipv6_next_at = ip_at + 6;
constexpr std::uint16_t more_fragments_or_offset = 0x3FFF;
// From the TCP header's start.
constexpr std::size_t sequence_at = 4;
constexpr std::size_t acknowledgement_at = 8;
constexpr std::size_t size_at = 12;
constexpr std::size_t flags_at = 13;
constexpr std::size_t window_at = 14;
constexpr std::size_t urgent_at = 18;
constexpr std::uint8_t flag_push = 8;
constexpr std::uint8_t flag_ack = 16;

std::uint32_t double_word_at(std::span<const std::byte> bytes, std::size_t at) {
    return std::uint32_t{word_at(bytes, at)} << 16 | word_at(bytes, at + 2);
}

bool is_ipv4(std::span<const std::byte> bytes) {
    return word_at(bytes, ethernet_type_at) == ethernet_ipv4 && byte_at(bytes, ip_at) == 0x45;
}

bool is_ipv6(std::span<const std::byte> bytes) {
    return word_at(bytes, ethernet_type_at) == ethernet_ipv6;
}

// Where TCP starts in a whole IPv4 packet; 0: it is something else.
std::size_t tcp_in_ipv4(std::span<const std::byte> bytes, std::size_t packet_bytes) {
    const bool is_whole = word_at(bytes, ipv4_length_at) == packet_bytes - ip_at &&
                          (word_at(bytes, ipv4_fragment_at) & more_fragments_or_offset) == 0;
    return is_whole && byte_at(bytes, ipv4_protocol_at) == protocol_tcp ? ip_at + ipv4_bytes : 0;
}

std::size_t tcp_in_ipv6(std::span<const std::byte> bytes, std::size_t packet_bytes) {
    const bool is_whole = word_at(bytes, ipv6_length_at) + ipv6_bytes == packet_bytes - ip_at;
    return is_whole && byte_at(bytes, ipv6_next_at) == protocol_tcp ? ip_at + ipv6_bytes : 0;
}

std::uint16_t ipv4_checksum(std::span<const std::byte> header) {
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at < header.size(); at += 2) {
        sum += word_at(header, at);
    }
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

}  // namespace

bool TcpBatch::start(std::span<const std::byte> first_bytes, std::size_t packet_bytes) {
    if (first_bytes.size() < ip_at + ipv4_bytes + tcp_bytes_min ||
        packet_bytes < first_bytes.size() || packet_bytes > packet_bytes_max) {
        return false;
    }
    if (is_ipv4(first_bytes)) {
        family_ = Family::ipv4;
        tcp_at_ = tcp_in_ipv4(first_bytes, packet_bytes);
    } else if (is_ipv6(first_bytes)) {
        family_ = Family::ipv6;
        tcp_at_ = tcp_in_ipv6(first_bytes, packet_bytes);
    } else {
        return false;
    }
    if (tcp_at_ == 0 || first_bytes.size() < tcp_at_ + tcp_bytes_min) {
        return false;
    }
    const std::size_t tcp_bytes = std::size_t{byte_at(first_bytes, tcp_at_ + size_at)} / 16 * 4;
    header_bytes_ = tcp_at_ + tcp_bytes;
    const std::uint8_t flags = byte_at(first_bytes, tcp_at_ + flags_at);
    if (tcp_bytes < tcp_bytes_min || header_bytes_ > first_bytes.size() ||
        header_bytes_ >= packet_bytes || (flags & ~flag_push) != flag_ack) {
        return false;
    }
    std::copy_n(first_bytes.begin(), header_bytes_, headers_.begin());
    segment_bytes_ = data_bytes_ = packet_bytes - header_bytes_;
    return true;
}

bool TcpBatch::same(std::span<const std::byte> headers, std::size_t from, std::size_t to) const {
    return std::memcmp(headers.data() + from, headers_.data() + from, to - from) == 0;
}

// But for the lengths, the sums, IPv4's identification, the sequence number and PSH.
bool TcpBatch::is_alike(std::span<const std::byte> headers) const {
    const bool same_ip =
        family_ == Family::ipv4
            ? same(headers, 0, ipv4_length_at) &&
                  same(headers, ipv4_fragment_at, ipv4_checksum_at) &&
                  same(headers, ipv4_addresses_at, tcp_at_)
            : same(headers, 0, ipv6_length_at) && same(headers, ipv6_next_at, tcp_at_);
    const std::uint8_t flags = byte_at(headers, tcp_at_ + flags_at);
    return same_ip && same(headers, tcp_at_, tcp_at_ + sequence_at) &&
           same(headers, tcp_at_ + acknowledgement_at, tcp_at_ + flags_at) &&
           (flags & ~flag_push) == flag_ack &&
           same(headers, tcp_at_ + window_at, tcp_at_ + tcp_checksum_at) &&
           same(headers, tcp_at_ + urgent_at, header_bytes_);
}

bool TcpBatch::add(std::span<const std::byte> first_bytes, std::size_t packet_bytes) {
    if (first_bytes.size() < header_bytes_ || packet_bytes <= header_bytes_ ||
        !is_alike(first_bytes)) {
        return false;
    }
    const std::size_t data_bytes = packet_bytes - header_bytes_;
    const std::size_t length_at = family_ == Family::ipv4 ? ipv4_length_at : ipv6_length_at;
    const std::size_t counted_from = family_ == Family::ipv4 ? ip_at : ip_at + ipv6_bytes;
    const auto expected =
        static_cast<std::uint32_t>(double_word_at(headers_, tcp_at_ + sequence_at) + data_bytes_);
    if (word_at(first_bytes, length_at) != packet_bytes - counted_from ||
        double_word_at(first_bytes, tcp_at_ + sequence_at) != expected ||
        data_bytes_ % segment_bytes_ != 0 || data_bytes > segment_bytes_ ||
        header_bytes_ + data_bytes_ + data_bytes > packet_bytes_max) {
        return false;
    }
    data_bytes_ += data_bytes;
    headers_[tcp_at_ + flags_at] |= first_bytes[tcp_at_ + flags_at];
    return true;
}

TcpBatch::Whole TcpBatch::finish() {
    const auto headers = std::span{headers_}.first(header_bytes_);
    const std::size_t packet_bytes = header_bytes_ + data_bytes_;
    if (family_ == Family::ipv4) {
        put_word(headers, ipv4_length_at, packet_bytes - ip_at);
        put_word(headers, ipv4_checksum_at, 0);
        put_word(headers, ipv4_checksum_at, ipv4_checksum(headers.subspan(ip_at, ipv4_bytes)));
    } else {
        put_word(headers, ipv6_length_at, packet_bytes - ip_at - ipv6_bytes);
    }
    const TcpChecksum checksum = start_tcp_checksum(headers, packet_bytes);
    return {headers, checksum};
}

}  // namespace shoal::guest::net
