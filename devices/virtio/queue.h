// Queue: the device's side of one split virtqueue (virtio 1.2, 2.7) in guest memory.
//
// Everything that the driver wrote is checked before it is used: indices, lengths, flags, the order
// and the length of chains, addresses. What is read is copied once and only the copy is used.
// "Nothing there" and "malformed" are told apart; after an error the queue is of no more use until
// reset(). No thread of its own: the caller locks (see virtio::Device).
//
// What the device wrote is told to the memory's write log just before a chain is given back: until
// then the driver does not look at it, and afterwards the chain's descriptors may be another's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "devices/abi/virtio_queue.h"
#include "devices/machine/guest_memory.h"

namespace shoal::virtio {

enum class QueueError {
    bad_size,         // not a power of two, 0, or more than the device can
    misaligned_ring,  // 2.7: the table by 16, the avail ring by 2, the used ring by 4
    ring_outside_memory,
    avail_index_jumped,  // more chains made available than the queue has entries
    descriptor_outside_table,
    chain_too_long,           // a cycle, more than max_segments, or more than 4 GiB
    readable_after_writable,  // 2.7.4.2
    empty_buffer,
    buffer_outside_memory,
    bad_indirect_table,  // size, place in the chain, nested, or not negotiated
    unusable_buffer,     // the device needs more room, or room at all
    backend_lost,        // not the driver's fault: who served the queue is gone
};

// A chain's buffers. Borrows the queue's memory of segments: lasts until the next pop() or reset().
struct Chain {
    std::uint16_t head = 0;
    std::span<const std::span<std::byte>> readable;  // from the driver
    std::span<const std::span<std::byte>> writable;  // for the driver
};

// What the driver says about the queue.
struct QueueLayout {
    std::uint32_t size = 0;
    machine::Gpa descriptors;
    machine::Gpa avail;
    machine::Gpa used;

    friend bool operator==(const QueueLayout&, const QueueLayout&) = default;
};

// How far the device is, for a saved state.
struct QueueState {
    std::uint16_t next_avail = 0;
    std::uint16_t next_used = 0;
    std::uint16_t signalled_used = 0;

    friend bool operator==(const QueueState&, const QueueState&) = default;
};

class Queue {
public:
    // Linux asks for at most 128 + 2 segments (virtio-blk); a chain with more is refused.
    static constexpr std::size_t max_segments = 256;
    static constexpr std::uint32_t max_size = 256;

    // Borrows `memory`. Not ready.
    explicit Queue(const machine::GuestMemory& memory) noexcept : memory_{&memory} {}

    // Makes the queue ready, from its beginning. `size_max` is at most max_size.
    [[nodiscard]] std::expected<void, QueueError> configure(const QueueLayout& layout,
                                                            std::uint32_t size_max) noexcept;
    // Of the negotiated features, event_idx and indirect_desc matter here.
    void set_features(std::uint64_t features) noexcept { features_ = features; }
    void reset() noexcept;
    [[nodiscard]] bool is_ready() const noexcept { return size_ != 0; }
    [[nodiscard]] std::uint16_t size() const noexcept { return size_; }

    // Where the rings lie, for a device whose queue another process serves.
    struct Rings {
        std::uint16_t size;
        std::span<std::byte> descriptors;
        std::span<std::byte> avail;
        std::span<std::byte> used;
    };
    [[nodiscard]] Rings rings() const noexcept { return {size_, descriptors_, avail_, used_}; }

    // What the rings say was made available and used in all. The queue is ready.
    [[nodiscard]] std::uint16_t avail_idx() const noexcept;
    [[nodiscard]] std::uint16_t used_idx() const noexcept;

    // The next chain; none also when the queue is not ready.
    [[nodiscard]] std::expected<std::optional<Chain>, QueueError> pop() noexcept;

    // The same, but when there is none the driver notifies for the next one.
    [[nodiscard]] std::expected<std::optional<Chain>, QueueError> pop_or_listen() noexcept;

    // A chain that had been popped and not given back when the state was saved.
    [[nodiscard]] std::expected<Chain, QueueError> collect_again(std::uint16_t head) noexcept;

    // The last `count` chains that were popped are still in the queue, as if they had not been.
    // None of them has been pushed.
    void undo_pops(std::uint16_t count) noexcept;

    // Gives a popped chain back, with `written_bytes` from the start of its writable buffers.
    void push_used(std::uint16_t head, std::uint32_t written_bytes) noexcept;
    // Several, in an order of the caller's. The driver sees all of them at once.
    void push_used(std::span<const abi::virtio::UsedElement> elements) noexcept;

    // Whether the driver wants an interrupt for what was pushed since the last call.
    [[nodiscard]] bool should_interrupt() noexcept;

    // While the device looks at the queue by itself the driver need not notify it (2.7.10).
    void suppress_notifications() noexcept;
    // True when there is something to pop: the driver may not have notified for it.
    [[nodiscard]] bool enable_notifications() noexcept;

    // To be restored after configure() and set_features().
    [[nodiscard]] QueueState save() const noexcept {
        return {next_avail_, next_used_, signalled_used_};
    }
    void restore(const QueueState& state) noexcept {
        next_avail_ = state.next_avail;
        next_used_ = state.next_used;
        signalled_used_ = state.signalled_used;
    }

private:
    struct Collected;
    using Segments = std::array<std::span<std::byte>, max_segments>;

    [[nodiscard]] std::expected<void, QueueError> collect(std::uint16_t head,
                                                          Collected& so_far) const noexcept;
    [[nodiscard]] std::expected<void, QueueError> collect_indirect(
        const abi::virtio::Descriptor& table, Collected& so_far) const noexcept;
    [[nodiscard]] std::expected<void, QueueError> add_segment(
        const abi::virtio::Descriptor& descriptor, Collected& so_far) const noexcept;
    void log_buffers(std::span<const abi::virtio::UsedElement> elements) const noexcept;
    [[nodiscard]] bool has_feature(std::uint64_t feature) const noexcept {
        return (features_ & feature) != 0;
    }

    const machine::GuestMemory* memory_;
    std::uint64_t features_ = 0;
    std::uint16_t size_ = 0;  // 0: not ready
    std::span<std::byte> descriptors_;
    std::span<std::byte> avail_;
    std::span<std::byte> used_;
    std::uint16_t next_avail_ = 0;  // free-running, reduced modulo the size where it indexes
    std::uint16_t next_used_ = 0;
    std::uint16_t signalled_used_ = 0;  // next_used_ at the last should_interrupt()
    Segments segments_;
};

}  // namespace shoal::virtio
