// Transmitter: packets on their way from lwIP to the device. Those of a TCP connection that follow
// one another go as one where the device can split it (tcp_batch.h).
//
// Packets stay where lwIP has them, and are held until the device is done: lwIP leaves a packet
// alone while somebody else holds it, even to send it again. At most one batch waits for more.
#pragma once

#include <lwip/err.h>
#include <lwip/pbuf.h>

#include <array>
#include <cstddef>
#include <memory>

#include "guest/drivers/virtio_net.h"
#include "guest/net/tcp_batch.h"

namespace shoal::guest::net {

class Transmitter {
public:
    explicit Transmitter(VirtioNet& device) noexcept : device_{device} {}
    Transmitter(const Transmitter&) = delete;
    Transmitter& operator=(const Transmitter&) = delete;

    // ERR_MEM when the queue is full, ERR_BUF for a packet of too many pieces.
    [[nodiscard]] err_t send(pbuf* packet);
    // What waits for more goes to the queue. To be called before the device is told of it.
    void flush();
    // Frees what has been sent; whether there was something.
    bool take_sent();

private:
    static constexpr std::size_t packets_max = 44;  // of 1460 bytes in 64 KiB

    // The packets of a batch with the device.
    struct Record {
        std::size_t count = 0;
        std::array<void*, packets_max> tokens{};
    };
    using Pieces = std::array<ChainQueue::Piece, VirtioNet::pieces_max>;

    static void take_back(void* token);
    [[nodiscard]] static bool gather(const pbuf& packet, std::size_t skipped, Pieces& pieces,
                                     std::size_t& count);
    [[nodiscard]] bool has_room(std::size_t pieces);
    [[nodiscard]] bool splits(TcpBatch::Family family) const;
    [[nodiscard]] bool start_batch(pbuf* packet);
    [[nodiscard]] bool join_batch(pbuf* packet);
    [[nodiscard]] bool put(pbuf* packet, void* token);
    [[nodiscard]] bool put_batch();

    VirtioNet& device_;
    TcpBatch batch_;
    pbuf* first_ = nullptr;  // of the batch; nullptr: there is none
    void* first_token_ = nullptr;
    std::unique_ptr<Record> record_;  // of the batch, from the second packet on
    Pieces pieces_{};                 // its data
    std::size_t piece_count_ = 0;
};

}  // namespace shoal::guest::net
