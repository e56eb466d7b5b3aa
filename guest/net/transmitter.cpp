// Packets alone and in batches.
#include "guest/net/transmitter.h"

#include <new>
#include <span>
#include <utility>

#include "guest/kernel/page_table.h"
#include "guest/net/parked_pages.h"

namespace shoal::guest::net {
namespace {

// In the bits of a token that alignment leaves free: a packet's generation, and whether it stands
// for a batch.
constexpr std::uintptr_t generation_bits = 1;
constexpr std::uintptr_t batch_bit = 2;
constexpr std::uintptr_t all_bits = generation_bits | batch_bit;
static_assert(alignof(pbuf) > all_bits);

// Holds a packet that goes to the device.
void* hold(pbuf* packet) {
    pbuf_ref(packet);
    return reinterpret_cast<std::byte*>(packet) + parked_pages.packet_leaves();
}

std::span<const std::byte> first_bytes_of(const pbuf& packet) {
    return {static_cast<const std::byte*>(packet.payload), packet.len};
}

}  // namespace

void Transmitter::take_back(void* token) {
    const auto bits = reinterpret_cast<std::uintptr_t>(token) & all_bits;
    std::byte* const at = static_cast<std::byte*>(token) - bits;
    if (bits == batch_bit) {
        // SAFETY: put_batch() made it.
        const std::unique_ptr<Record> record{reinterpret_cast<Record*>(at)};
        for (std::size_t i = 0; i < record->count; ++i) {
            take_back(record->tokens[i]);
        }
        return;
    }
    // SAFETY: hold() made it.
    pbuf_free(reinterpret_cast<pbuf*>(at));
    parked_pages.packet_returns(bits);
}

// Adds the packet's memory but for the first `skipped` bytes, which its first part has. False when
// it is in too many pieces.
bool Transmitter::gather(const pbuf& packet, std::size_t skipped, Pieces& pieces,
                         std::size_t& count) {
    for (const pbuf* part = &packet; part != nullptr; part = part->next) {
        const std::uint64_t physical = physical_address(part->payload) + skipped;
        const auto size = static_cast<std::uint32_t>(part->len - skipped);
        skipped = 0;
        if (size == 0) {
            continue;
        }
        if (count > 0 && pieces[count - 1].physical + pieces[count - 1].size_bytes == physical) {
            pieces[count - 1].size_bytes += size;
        } else if (count == pieces.size()) {
            return false;
        } else {
            pieces[count++] = {physical, size};
        }
    }
    return count > 0;
}

// For so many pieces and a header.
bool Transmitter::has_room(std::size_t pieces) {
    return device_.free_pieces() > pieces || (take_sent() && device_.free_pieces() > pieces);
}

bool Transmitter::splits(TcpBatch::Family family) const {
    return device_.splits(family == TcpBatch::Family::ipv4 ? VirtioNet::Split::tcp4
                                                           : VirtioNet::Split::tcp6);
}

bool Transmitter::put(pbuf* packet, void* token) {
    Pieces pieces;
    std::size_t count = 0;
    if (!gather(*packet, 0, pieces, count)) {
        return false;
    }
    VirtioNet::Outgoing outgoing{.pieces = std::span{pieces}.first(count), .token = token};
    if (device_.completes_checksums()) {
        const TcpChecksum checksum = start_tcp_checksum(
            {static_cast<std::byte*>(packet->payload), packet->len}, packet->tot_len);
        outgoing.checksum_start = checksum.start;
        outgoing.checksum_offset = checksum.offset;
    }
    return device_.send(outgoing);
}

bool Transmitter::put_batch() {
    const auto [headers, checksum] = batch_.finish();
    const bool is_ipv4 = batch_.family() == TcpBatch::Family::ipv4;
    return device_.send({.pieces = std::span{pieces_}.first(piece_count_),
                         .headers = headers,
                         .checksum_start = checksum.start,
                         .checksum_offset = checksum.offset,
                         .segment_bytes = batch_.segment_bytes(),
                         .split = is_ipv4 ? VirtioNet::Split::tcp4 : VirtioNet::Split::tcp6,
                         .token = reinterpret_cast<std::byte*>(record_.get()) + batch_bit});
}

// Room for it alone is kept, so that flush() cannot fail.
bool Transmitter::start_batch(pbuf* packet) {
    if (!batch_.start(first_bytes_of(*packet), packet->tot_len) || !splits(batch_.family())) {
        return false;
    }
    piece_count_ = 0;
    if (!gather(*packet, batch_.header_bytes(), pieces_, piece_count_) ||
        !has_room(piece_count_ + 1)) {
        return false;
    }
    first_ = packet;
    first_token_ = hold(packet);
    return true;
}

bool Transmitter::join_batch(pbuf* packet) {
    if (record_ != nullptr && record_->count == packets_max) {
        return false;
    }
    std::size_t count = piece_count_;
    const std::uint32_t last_size = pieces_[count - 1].size_bytes;
    if (packet->len < batch_.header_bytes() ||
        !gather(*packet, batch_.header_bytes(), pieces_, count) || !has_room(count + 1) ||
        !batch_.add(first_bytes_of(*packet), packet->tot_len)) {
        pieces_[piece_count_ - 1].size_bytes = last_size;
        return false;
    }
    if (record_ == nullptr) {
        record_.reset(new (std::nothrow_t{}) Record);
        if (record_ == nullptr) {
            // The batch's headers count the packet already, but it leaves with the first one's own.
            pieces_[piece_count_ - 1].size_bytes = last_size;
            return false;
        }
        record_->tokens[record_->count++] = first_token_;
    }
    piece_count_ = count;
    record_->tokens[record_->count++] = hold(packet);
    return true;
}

void Transmitter::flush() {
    if (first_ == nullptr) {
        return;
    }
    pbuf* const first = std::exchange(first_, nullptr);
    if (record_ == nullptr) {
        if (!put(first, first_token_)) {
            take_back(first_token_);
        }
    } else if (put_batch()) {
        static_cast<void>(record_.release());
    } else {
        // TCP sends it again.
        take_back(reinterpret_cast<std::byte*>(record_.release()) + batch_bit);
    }
}

err_t Transmitter::send(pbuf* packet) {
    if (first_ != nullptr && join_batch(packet)) {
        return ERR_OK;
    }
    flush();
    if (start_batch(packet)) {
        return ERR_OK;
    }
    Pieces pieces;
    std::size_t count = 0;
    if (!gather(*packet, 0, pieces, count)) {
        return ERR_BUF;
    }
    void* const token = hold(packet);
    if (!put(packet, token)) {
        take_sent();
        if (!put(packet, token)) {
            take_back(token);
            return ERR_MEM;
        }
    }
    return ERR_OK;
}

bool Transmitter::take_sent() {
    bool any = false;
    while (void* token = device_.take_sent()) {
        take_back(token);
        any = true;
    }
    return any;
}

}  // namespace shoal::guest::net
