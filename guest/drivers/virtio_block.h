// VirtioBlock: the driver of a virtio block device (virtio 1.2, 5.2) over virtio-mmio.
//
// Several requests are in flight at once; each is a chain of its header, the caller's pages and a
// status, so that the device moves the bytes without a copy. A wait polls for a moment and then
// halts, or lets others run, until the device interrupts, which it does at no other time. One vCPU:
// no locks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "devices/abi/virtio_block.h"
#include "guest/drivers/virtio_mmio.h"
#include "guest/kernel/fs/block_device.h"
#include "guest/kernel/sched/event_source.h"

namespace shoal::guest {

class VirtioBlock final : public BlockDevice, public EventSource {
public:
    // Sets the device up. Ends the microVM when it refuses.
    explicit VirtioBlock(const VirtioMmioPlace& place);

    [[nodiscard]] std::uint64_t size_bytes() const override { return size_bytes_; }
    [[nodiscard]] Access access() const override { return access_; }
    [[nodiscard]] std::size_t request_pages_max() const override { return pages_max_; }
    void submit(BlockRequest& request) override;
    void wait(BlockRequest& request) override;
    void sleep(BlockRequest& request) override;
    void take_events() override;

private:
    // A request's descriptors: header, pages, status.
    static constexpr std::uint16_t chain_max = BlockRequest::pages_max + 2;
    static constexpr std::size_t requests_max = Virtqueue::size_max / chain_max;

    // What the device reads and writes besides the pages.
    struct Frame {
        abi::virtio::block::RequestHeader header;
        abi::virtio::block::RequestStatus status;
        std::array<std::byte, 15> padding;
    };
    static_assert(sizeof(Frame) == 32);

    void negotiate();
    [[nodiscard]] std::size_t take_free_slot();
    [[nodiscard]] std::size_t fill_chain(std::size_t slot, const BlockRequest& request,
                                         std::array<Virtqueue::Buffer, chain_max>& chain);
    void collect();
    [[nodiscard]] bool poll_for_used() const;
    void wait_for_used();

    VirtioMmio device_;
    std::uint64_t size_bytes_ = 0;
    Access access_ = Access::read_write;
    bool has_flush_ = false;
    std::size_t pages_max_ = 1;
    std::uint16_t queue_size_;
    std::size_t slot_count_;
    std::byte* memory_;  // rings, then frames
    Frame* frames_;
    Virtqueue queue_;
    std::array<BlockRequest*, requests_max> in_flight_{};
    WaitQueue sleepers_{};
};

}  // namespace shoal::guest
