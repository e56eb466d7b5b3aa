// BlockRequest: one request of the block driver, copied out of its chain and checked.
//
// The chain's buffers are borrowed from guest memory, which the driver may change meanwhile: data
// goes to or comes from the disk, and nothing else is looked at twice.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>

#include "devices/abi/virtio_block.h"
#include "devices/backend/disk_request.h"
#include "devices/virtio/queue.h"

namespace shoal::virtio {

// Constructed without being touched (see BlockRequestPool).
struct BlockRequest : backend::DiskRequest {
    // As many data buffers as a page of descriptors has besides header and status, halved: 504 KiB
    // of scattered pages. A request with more is malformed.
    static constexpr std::size_t max_buffers = 126;

    abi::virtio::block::RequestType type;
    std::uint16_t head;
    std::uint16_t segment_count;
    std::uint32_t activation;     // which of the device's drivers it is of
    std::uint32_t written_bytes;  // what the device writes in all, the status included
    std::uint64_t sector;
    std::uint64_t data_bytes;
    std::uint64_t begun_ns;  // when it was taken from the queue
    std::byte* status;
    std::array<iovec, max_buffers> segments;

    [[nodiscard]] std::span<iovec> data() noexcept {
        return std::span{segments}.first(segment_count);
    }
    // The data as one value. For requests whose data the device reads, and of that size at least.
    [[nodiscard]] abi::virtio::block::Range copy_range() noexcept;
    // Fills the data from its start, and the rest with zeros.
    void fill(std::span<const std::byte> bytes) noexcept;
};

// Copies what a chain says. Malformed: no whole header, no status, data in the wrong direction, too
// many buffers.
[[nodiscard]] std::expected<void, QueueError> read_request(const Chain& chain,
                                                           BlockRequest& request) noexcept;

// Requests in flight. Its memory is only touched as far as it is used.
class BlockRequestPool {
public:
    static constexpr std::uint32_t size = 256;

    BlockRequestPool();

    // nullptr: all are in flight.
    [[nodiscard]] BlockRequest* try_take() noexcept {
        return free_count_ > 0 ? &requests_[free_[--free_count_]] : nullptr;
    }
    void give_back(BlockRequest& request) noexcept {
        free_[free_count_++] = static_cast<std::uint16_t>(&request - requests_.get());
    }
    [[nodiscard]] std::uint32_t in_flight() const noexcept { return size - free_count_; }

private:
    std::unique_ptr<BlockRequest[]> requests_;
    std::array<std::uint16_t, size> free_;  // the last one freed is used next
    std::uint32_t free_count_ = size;
};

}  // namespace shoal::virtio
