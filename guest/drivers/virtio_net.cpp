// The network device's driver.
#include "guest/drivers/virtio_net.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "guest/drivers/register_batch.h"
#include "guest/kernel/clock.h"
#include "guest/kernel/page_table.h"
#include "guest/kernel/physical_memory.h"
#include "guest/kernel/random.h"

namespace shoal::guest {

using namespace abi::virtio;

namespace {

constexpr auto wanted_features = static_cast<std::uint32_t>(
    feature::event_idx | net::feature::mac | net::feature::mtu | net::feature::csum |
    net::feature::guest_csum | net::feature::guest_tso4 | net::feature::guest_tso6 |
    net::feature::host_tso4 | net::feature::host_tso6 | net::feature::mrg_rxbuf);
// Packets larger than a page come in several buffers, or not at all.
constexpr auto large_packets =
    static_cast<std::uint32_t>(net::feature::guest_tso4 | net::feature::guest_tso6);
// Which need checksums that the device completes.
constexpr auto split_packets =
    static_cast<std::uint32_t>(net::feature::host_tso4 | net::feature::host_tso6);

constexpr std::uint8_t gso_tcp4 = 1;  // VIRTIO_NET_HDR_GSO_... (5.1.6)
constexpr std::uint8_t gso_tcp6 = 4;
constexpr std::uint8_t mac_made_up = 0x02;     // locally administered, one machine
constexpr std::uint8_t header_data_valid = 2;  // VIRTIO_NET_HDR_F_DATA_VALID (5.1.6.4)

constexpr std::size_t ring_pages = 2 * ChainQueue::memory_bytes / page_size;
constexpr std::uint32_t room_of_page =
    static_cast<std::uint32_t>(page_size - VirtioNet::page_header_bytes);
constexpr std::uint64_t pages_out_share = 8;  // of memory, held by packets that nobody has read

}  // namespace

VirtioNet* VirtioNet::start(const VirtioMmioPlace& place) {
    auto* rings =
        static_cast<std::byte*>(physical_memory.allocate_contiguous(ring_pages + header_pages));
    if (rings == nullptr) {
        return nullptr;
    }
    auto* device = new (std::nothrow_t{}) VirtioNet{place, rings};
    if (device == nullptr || !device->negotiate() || !device->fill_receive_queue()) {
        return nullptr;
    }
    device->device_.allow_interrupts();
    RegisterBatch batch = device->device_.batch();
    VirtioMmio::start_queue(batch, net::receive_queue, device->receive_);
    VirtioMmio::start_queue(batch, net::transmit_queue, device->transmit_);
    VirtioMmio::start(batch);
    if (device->receive_.publish()) {
        batch.write(MmioRegister::queue_notify, net::receive_queue);
    }
    return device;
}

VirtioNet::VirtioNet(const VirtioMmioPlace& place, std::byte* rings)
    : device_{place},
      receive_{rings, physical_address(rings)},
      transmit_{rings + ChainQueue::memory_bytes,
                physical_address(rings + ChainQueue::memory_bytes)},
      headers_{reinterpret_cast<HeaderPlace*>(rings + 2 * ChainQueue::memory_bytes)},
      pages_out_max_{physical_memory.total_bytes() / page_size / pages_out_share} {
    spare_.reserve(offered_pages);
}

bool VirtioNet::negotiate() {
    features_ = device_.reset() & wanted_features;
    if ((features_ & net::feature::mrg_rxbuf) == 0 || (features_ & net::feature::guest_csum) == 0) {
        features_ &= ~large_packets;
    }
    if ((features_ & net::feature::csum) == 0) {
        features_ &= ~split_packets;
    }
    if ((features_ & feature::event_idx) == 0 || !device_.try_accept(features_)) {
        return false;
    }
    read_config();
    return true;
}

void VirtioNet::read_config() {
    if ((features_ & net::feature::mtu) != 0) {
        mtu_ = device_.config<std::uint16_t>(offsetof(net::Config, mtu));
    }
    if ((features_ & net::feature::mac) == 0) {
        fill_random(std::as_writable_bytes(std::span{mac_}));
        mac_[0] = mac_made_up;
        return;
    }
    read_mac();
}

void VirtioNet::read_mac() {
    if ((features_ & net::feature::mac) == 0) {
        return;
    }
    if (device_.is_shoal()) {  // takes wide reads, of which each is an exit
        const auto first = device_.config<std::uint32_t>(offsetof(net::Config, mac));
        const auto last = device_.config<std::uint16_t>(offsetof(net::Config, mac) + sizeof first);
        std::memcpy(mac_.data(), &first, sizeof first);
        std::memcpy(mac_.data() + sizeof first, &last, sizeof last);
        return;
    }
    for (std::size_t i = 0; i < mac_.size(); ++i) {
        mac_[i] = device_.config<std::uint8_t>(offsetof(net::Config, mac) + i);
    }
}

std::byte* VirtioNet::take_page() {
    if (!spare_.empty()) {
        std::byte* page = spare_.back();
        spare_.pop_back();
        return page;
    }
    return static_cast<std::byte*>(physical_memory.allocate_page());
}

void VirtioNet::give_back(std::byte* page) {
    --pages_out_;
    keep_page(page);
}

void VirtioNet::keep_page(std::byte* page) {
    if (spare_.size() < spare_.capacity()) {
        spare_.push_back(page);
    } else {
        physical_memory.free_page(page);
    }
}

void VirtioNet::offer(std::byte* page) {
    const ChainQueue::Piece piece{physical_address(page) + page_header_bytes, room_of_page};
    offered_[receive_.add({&piece, 1}, ChainQueue::Direction::from_device)] = page;
}

bool VirtioNet::fill_receive_queue() {
    for (std::size_t i = 0; i < offered_pages; ++i) {
        std::byte* page = take_page();
        if (page == nullptr) {
            return false;
        }
        offer(page);
    }
    return true;
}

// The next buffer that the device filled. Its page is out until it is offered or given back.
std::optional<VirtioNet::Piece> VirtioNet::take_piece() {
    const auto used = receive_.take_used();
    if (!used) {
        return std::nullopt;
    }
    ++pages_out_;
    was_interrupted_ = was_interrupted_ || used->interrupts == ChainQueue::Interrupts::one;
    return Piece{offered_[used->chain], page_header_bytes,
                 std::min(used->size_bytes, room_of_page)};
}

// Takes the rest of a packet of `expected` buffers, as its header says. False when the device
// promised more than it gave, or it is too long: then what was taken is to be dropped.
bool VirtioNet::gather(const Piece& first, std::size_t expected) {
    pieces_[0] = first;
    piece_count_ = 1;
    bool is_whole = expected >= 1 && first.size_bytes > sizeof(net::Header);
    for (std::size_t taken = 1; taken < std::min<std::size_t>(expected, ChainQueue::size);
         ++taken) {
        const auto piece = take_piece();
        if (!piece) {
            return false;
        }
        if (piece_count_ == pieces_.size()) {
            drop_pieces();
            is_whole = false;
        }
        pieces_[piece_count_++] = *piece;
    }
    return is_whole;
}

// Offers the pages of the packet at hand again.
void VirtioNet::drop_pieces() {
    for (std::size_t i = 0; i < piece_count_; ++i) {
        --pages_out_;
        offer(pieces_[i].page);
    }
    piece_count_ = 0;
}

// Offers fresh pages for those of the packet at hand. False when there are not enough.
bool VirtioNet::replace_pages() {
    std::array<std::byte*, packet_pieces_max> fresh{};
    for (std::size_t i = 0; i < piece_count_; ++i) {
        fresh[i] = pages_out_ <= pages_out_max_ ? take_page() : nullptr;
        if (fresh[i] == nullptr) {
            std::for_each_n(fresh.begin(), i, [this](std::byte* page) { keep_page(page); });
            return false;
        }
    }
    std::for_each_n(fresh.begin(), piece_count_, [this](std::byte* page) { offer(page); });
    return true;
}

std::optional<VirtioNet::Packet> VirtioNet::receive() {
    drop_pieces();  // of a packet that was lent
    while (const auto first = take_piece()) {
        net::Header header{};
        std::memcpy(&header, first->page + first->offset, sizeof header);
        const bool is_mergeable = (features_ & net::feature::mrg_rxbuf) != 0;
        if (!gather(*first, is_mergeable ? header.num_buffers : 1)) {
            drop_pieces();
            continue;
        }
        pieces_[0].offset += std::uint32_t{sizeof header};
        pieces_[0].size_bytes -= std::uint32_t{sizeof header};
        Packet packet{std::span{pieces_}.first(piece_count_)};
        if (piece_count_ == 1 && pieces_[0].size_bytes <= lent_bytes_max) {
            packet.pages = Pages::lent;
        } else if (replace_pages()) {
            piece_count_ = 0;
        } else {
            drop_pieces();
            continue;
        }
        if ((features_ & net::feature::guest_csum) != 0 &&
            (header.flags & (net::header_needs_csum | header_data_valid)) != 0) {
            packet.checksum = Checksum::good;
        }
        return packet;
    }
    return std::nullopt;
}

bool VirtioNet::splits(Split what) const {
    const std::uint64_t feature =
        what == Split::tcp4 ? net::feature::host_tso4 : net::feature::host_tso6;
    return what != Split::none && (features_ & feature) != 0;
}

bool VirtioNet::send(const Outgoing& packet) {
    if (transmit_.free_descriptors() < packet.pieces.size() + 1) {
        wants_room_ = true;
        return false;
    }
    std::array<ChainQueue::Piece, pieces_max + 1> chain;
    std::copy(packet.pieces.begin(), packet.pieces.end(), chain.begin() + 1);
    // A header for each descriptor that can be a chain's first: the next free one's is free.
    HeaderPlace& place = headers_[transmit_.next_chain()];
    net::Header& header = place.header;
    header = {};
    if (packet.checksum_start != 0) {
        header.flags = net::header_needs_csum;
        header.csum_start = packet.checksum_start;
        header.csum_offset = packet.checksum_offset;
    }
    if (packet.split != Split::none) {
        header.gso_type = packet.split == Split::tcp4 ? gso_tcp4 : gso_tcp6;
        header.gso_size = packet.segment_bytes;
        header.hdr_len = static_cast<std::uint16_t>(packet.headers.size());
    }
    std::ranges::copy(packet.headers, place.packet.begin());
    chain[0] = {physical_address(&place),
                static_cast<std::uint32_t>(sizeof header + packet.headers.size())};
    const std::uint16_t name = transmit_.add(std::span{chain}.first(packet.pieces.size() + 1),
                                             ChainQueue::Direction::to_device);
    tokens_[name] = packet.token;
    return true;
}

void* VirtioNet::take_sent() {
    const auto used = transmit_.take_used();
    if (!used) {
        return nullptr;
    }
    was_interrupted_ = was_interrupted_ || used->interrupts == ChainQueue::Interrupts::one;
    return std::exchange(tokens_[used->chain], nullptr);
}

// Not by the nub: one access costs less from ring 3 (register_batch.h).
void VirtioNet::flush() {
    if (std::exchange(was_interrupted_, false)) {
        device_.acknowledge_interrupt();
    }
    if (transmit_.publish()) {
        device_.ring(net::transmit_queue);
    }
    if (receive_.publish()) {
        device_.ring(net::receive_queue);
    }
}

// An interrupt that an index passed needs its acknowledgement before there can be another, on
// machines whose line stays up: flush() has given it. Shoal's machines cost nothing for that.
bool VirtioNet::arm_interrupts() {
    bool is_quiet = !receive_.arm_interrupt();
    if (wants_room_) {
        is_quiet = !transmit_.arm_interrupt() && is_quiet;
    }
    return is_quiet;
}

}  // namespace shoal::guest
