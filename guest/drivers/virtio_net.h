// VirtioNet: the driver of a virtio network device (virtio 1.2, 5.1) over virtio-mmio.
//
// Received packets lie in pages that the caller gets and gives back, so nothing is copied; pages
// for new packets replace them at once. Packets to send are pieces of memory that stay the
// caller's, and may not change until their token comes back. Nothing reaches the device's registers
// before flush(), which rings for all of it together. Needs VERSION_1 and EVENT_IDX of the device.
// One vCPU: no locks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "devices/abi/virtio_mmio.h"
#include "devices/abi/virtio_net.h"
#include "guest/drivers/chain_queue.h"
#include "guest/drivers/virtio_mmio.h"

namespace shoal::guest {

class VirtioNet {
public:
    // Sets up the network device at `place`. nullptr when it lacks what this driver needs, or
    // memory is gone. Lives for ever.
    [[nodiscard]] static VirtioNet* start(const VirtioMmioPlace& place);

    [[nodiscard]] const abi::virtio::net::MacAddress& mac() const { return mac_; }
    // Looks whether the device has another one now, as it may after a load.
    void read_mac();
    // 0: the device does not say.
    [[nodiscard]] std::uint16_t mtu() const { return mtu_; }
    // Whether packets may be sent with a checksum that the device completes.
    [[nodiscard]] bool completes_checksums() const {
        return (features_ & abi::virtio::net::feature::csum) != 0;
    }

    // Kept free at the start of every page that holds a piece, for the caller's own use.
    static constexpr std::size_t page_header_bytes = 64;
    struct Piece {
        std::byte* page;
        std::uint32_t offset;
        std::uint32_t size_bytes;
    };
    enum class Checksum { unknown, good };
    // Whose a packet's pages are: the caller's until give_back(), or the driver's, which uses them
    // again at the next receive().
    enum class Pages { given, lent };
    struct Packet {
        std::span<const Piece> pieces;  // valid until the next call
        Checksum checksum = Checksum::unknown;
        Pages pages = Pages::given;
    };
    // Small packets are lent, so that they need no memory and no page waits for few bytes.
    static constexpr std::size_t lent_bytes_max = 512;
    // The next packet. Pages that are given are replaced, or the packet is dropped and they stay:
    // so there are always enough for the small ones that let things go on.
    [[nodiscard]] std::optional<Packet> receive();
    void give_back(std::byte* page);

    // What a device may split into packets of a network's size.
    enum class Split { none, tcp4, tcp6 };
    [[nodiscard]] bool splits(Split what) const;

    static constexpr std::size_t headers_max = 116;
    struct Outgoing {
        std::span<const ChainQueue::Piece> pieces;  // at most pieces_max
        std::span<const std::byte> headers{};       // before them; copied; at most headers_max
        std::uint16_t checksum_start = 0;           // 0: the checksum is complete
        std::uint16_t checksum_offset = 0;
        std::uint16_t segment_bytes = 0;  // of data behind the headers, where it is to be split
        Split split = Split::none;
        void* token = nullptr;  // not nullptr
    };
    static constexpr std::size_t pieces_max = 24;
    // A packet takes one for each piece and one more.
    [[nodiscard]] std::size_t free_pieces() const { return transmit_.free_descriptors(); }
    // False when the queue is full. Then an interrupt comes when something has been sent.
    [[nodiscard]] bool send(const Outgoing& packet);
    // The token of a packet that has been sent; nullptr when there is none.
    [[nodiscard]] void* take_sent();
    // Whether send() has failed since this was asked last.
    [[nodiscard]] bool take_wants_room() { return std::exchange(wants_room_, false); }

    // Gives the device what was queued, and rings if it wants that.
    void flush();
    // Before a wait: interrupts at the next event from now on. False when there has been one.
    [[nodiscard]] bool arm_interrupts();

private:
    explicit VirtioNet(const VirtioMmioPlace& place, std::byte* rings);

    [[nodiscard]] bool negotiate();
    void read_config();
    [[nodiscard]] std::byte* take_page();
    void keep_page(std::byte* page);
    void offer(std::byte* page);
    [[nodiscard]] bool fill_receive_queue();
    [[nodiscard]] std::optional<Piece> take_piece();
    [[nodiscard]] bool gather(const Piece& first, std::size_t expected);
    void drop_pieces();
    [[nodiscard]] bool replace_pages();

    // What a packet to the device begins with.
    struct HeaderPlace {
        abi::virtio::net::Header header;
        std::array<std::byte, headers_max> packet;
    };
    static_assert(sizeof(HeaderPlace) == 128);

    static constexpr std::size_t header_pages = ChainQueue::size * sizeof(HeaderPlace) / 4096;
    static constexpr std::size_t packet_pieces_max = 18;  // of a packet of 64 KiB, and one more
    static constexpr std::size_t offered_pages = ChainQueue::size;

    VirtioMmio device_;
    std::uint32_t features_ = 0;
    abi::virtio::net::MacAddress mac_{};
    std::uint16_t mtu_ = 0;
    ChainQueue receive_;
    ChainQueue transmit_;
    std::array<std::byte*, ChainQueue::size> offered_{};  // by chain
    std::array<void*, ChainQueue::size> tokens_{};        // by chain
    HeaderPlace* headers_;                                // one for each chain to the device
    std::array<Piece, packet_pieces_max> pieces_{};       // the packet at hand, while it is ours
    std::size_t piece_count_ = 0;
    std::vector<std::byte*> spare_{};
    std::size_t pages_out_ = 0;  // neither with the device nor spare
    std::size_t pages_out_max_;
    bool wants_room_ = false;
    bool was_interrupted_ = false;
};

}  // namespace shoal::guest
