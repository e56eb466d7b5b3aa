// The device's side of a split virtqueue: rings, chains, and who wants to be told.
#include "devices/virtio/queue.h"

#include <atomic>
#include <bit>
#include <cstring>
#include <utility>

#include "devices/abi/virtio_mmio.h"
#include "devices/host/check.h"

namespace shoal::virtio {

using machine::Gpa;
namespace flag = abi::virtio::descriptor_flag;

static_assert(std::endian::native == std::endian::little, "rings are accessed as they are");

namespace {

// A 16-bit word that the driver reads or writes at the same time.
std::atomic_ref<std::uint16_t> word(std::span<std::byte> ring, std::uint64_t offset) noexcept {
    // SAFETY: the rings are aligned by 2 at least and `offset` is even and within the ring, both
    // since configure(); the bytes are shared with the guest and have no other type.
    return std::atomic_ref<std::uint16_t>{
        *reinterpret_cast<std::uint16_t*>(ring.subspan(offset).first<2>().data())};
}

abi::virtio::Descriptor copy_descriptor(std::span<const std::byte> table,
                                        std::size_t idx) noexcept {
    abi::virtio::Descriptor copy;
    std::memcpy(&copy, table.subspan(idx * sizeof copy).first<sizeof copy>().data(), sizeof copy);
    // The compiler must not read the guest's bytes again where the copy is used.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return copy;
}

}  // namespace

// A chain on its way: segments [0, readable) are readable, [readable, total) writable.
struct Queue::Collected {
    Segments& segments;
    std::size_t readable = 0;
    std::size_t total = 0;
    std::uint64_t size_bytes = 0;
};

std::expected<void, QueueError> Queue::configure(const QueueLayout& layout,
                                                 std::uint32_t size_max) noexcept {
    SHOAL_CHECK(size_max <= max_size);
    reset();
    if (!std::has_single_bit(layout.size) || layout.size > size_max) {
        return std::unexpected(QueueError::bad_size);
    }
    if (layout.descriptors.value() % abi::virtio::descriptor_table_alignment != 0 ||
        layout.avail.value() % abi::virtio::avail_alignment != 0 ||
        layout.used.value() % abi::virtio::used_alignment != 0) {
        return std::unexpected(QueueError::misaligned_ring);
    }
    const auto descriptors =
        memory_->slice(layout.descriptors, layout.size * sizeof(abi::virtio::Descriptor));
    const auto avail = memory_->slice(layout.avail, abi::virtio::avail_bytes(layout.size));
    const auto used = memory_->slice(layout.used, abi::virtio::used_bytes(layout.size));
    if (!descriptors || !avail || !used) {
        return std::unexpected(QueueError::ring_outside_memory);
    }
    descriptors_ = *descriptors;
    avail_ = *avail;
    used_ = *used;
    size_ = static_cast<std::uint16_t>(layout.size);
    return {};
}

void Queue::reset() noexcept {
    size_ = 0;
    descriptors_ = avail_ = used_ = {};
    next_avail_ = next_used_ = signalled_used_ = 0;
}

std::uint16_t Queue::avail_idx() const noexcept {
    return word(avail_, abi::virtio::avail_idx_offset).load(std::memory_order_acquire);
}

std::uint16_t Queue::used_idx() const noexcept {
    return word(used_, abi::virtio::used_idx_offset).load(std::memory_order_acquire);
}

std::expected<std::optional<Chain>, QueueError> Queue::pop() noexcept {
    if (!is_ready()) {
        return std::nullopt;
    }
    // Pairs with the driver's barrier between the ring entry and the index (2.7.13.3): what the
    // index covers is there to be read.
    const std::uint16_t avail_idx =
        word(avail_, abi::virtio::avail_idx_offset).load(std::memory_order_acquire);
    const auto pending = static_cast<std::uint16_t>(avail_idx - next_avail_);
    if (pending == 0) {
        return std::nullopt;
    }
    if (pending > size_) {
        return std::unexpected(QueueError::avail_index_jumped);
    }
    const std::uint16_t head =
        word(avail_, abi::virtio::avail_ring_offset + 2ULL * (next_avail_ % size_))
            .load(std::memory_order_relaxed);
    const auto chain = collect_again(head);
    if (!chain) {
        return std::unexpected(chain.error());
    }
    ++next_avail_;
    return *chain;
}

std::expected<std::optional<Chain>, QueueError> Queue::pop_or_listen() noexcept {
    auto chain = pop();
    if (chain && !*chain && is_ready() && enable_notifications()) {
        chain = pop();
    }
    return chain;
}

std::expected<Chain, QueueError> Queue::collect_again(std::uint16_t head) noexcept {
    Collected found{segments_};
    if (const auto collected = collect(head, found); !collected) {
        return std::unexpected(collected.error());
    }
    const auto segments = std::span<const std::span<std::byte>>{segments_}.first(found.total);
    return Chain{head, segments.first(found.readable), segments.subspan(found.readable)};
}

std::expected<void, QueueError> Queue::collect(std::uint16_t head,
                                               Collected& so_far) const noexcept {
    std::uint16_t idx = head;
    for (std::uint16_t count = 0; count < size_; ++count) {
        if (idx >= size_) {
            return std::unexpected(QueueError::descriptor_outside_table);
        }
        const abi::virtio::Descriptor descriptor = copy_descriptor(descriptors_, idx);
        if ((descriptor.flags & flag::indirect) != 0) {
            return collect_indirect(descriptor, so_far);
        }
        if (auto added = add_segment(descriptor, so_far); !added) {
            return added;
        }
        if ((descriptor.flags & flag::next) == 0) {
            return {};
        }
        idx = descriptor.next;
    }
    return std::unexpected(QueueError::chain_too_long);
}

// The table ends the chain (2.7.5.3); its own chain starts at entry 0. Its address need not be
// aligned, and the write flag of the descriptor that names it means nothing.
std::expected<void, QueueError> Queue::collect_indirect(const abi::virtio::Descriptor& table,
                                                        Collected& so_far) const noexcept {
    constexpr std::size_t entry_bytes = sizeof(abi::virtio::Descriptor);
    const std::size_t entry_count = table.size_bytes / entry_bytes;
    if (!has_feature(abi::virtio::feature::indirect_desc) || (table.flags & flag::next) != 0 ||
        entry_count == 0 || entry_count > max_segments || table.size_bytes % entry_bytes != 0) {
        return std::unexpected(QueueError::bad_indirect_table);
    }
    const auto entries = memory_->slice(Gpa{table.address}, table.size_bytes);
    if (!entries) {
        return std::unexpected(QueueError::buffer_outside_memory);
    }
    std::size_t idx = 0;
    for (std::size_t count = 0; count < entry_count; ++count) {
        if (idx >= entry_count) {
            return std::unexpected(QueueError::descriptor_outside_table);
        }
        const abi::virtio::Descriptor descriptor = copy_descriptor(*entries, idx);
        if ((descriptor.flags & flag::indirect) != 0) {
            return std::unexpected(QueueError::bad_indirect_table);
        }
        if (auto added = add_segment(descriptor, so_far); !added) {
            return added;
        }
        if ((descriptor.flags & flag::next) == 0) {
            return {};
        }
        idx = descriptor.next;
    }
    return std::unexpected(QueueError::chain_too_long);
}

std::expected<void, QueueError> Queue::add_segment(const abi::virtio::Descriptor& descriptor,
                                                   Collected& so_far) const noexcept {
    constexpr std::uint64_t max_chain_bytes = 0xFFFF'FFFF;  // the used element counts in 32 bits
    const bool writable = (descriptor.flags & flag::write) != 0;
    if (!writable && so_far.total != so_far.readable) {
        return std::unexpected(QueueError::readable_after_writable);
    }
    if (descriptor.size_bytes == 0) {
        return std::unexpected(QueueError::empty_buffer);
    }
    if (so_far.total == max_segments ||
        descriptor.size_bytes > max_chain_bytes - so_far.size_bytes) {
        return std::unexpected(QueueError::chain_too_long);
    }
    const auto bytes = memory_->slice(Gpa{descriptor.address}, descriptor.size_bytes);
    if (!bytes) {
        return std::unexpected(QueueError::buffer_outside_memory);
    }
    so_far.segments[so_far.total++] = *bytes;
    so_far.readable += writable ? 0 : 1;
    so_far.size_bytes += descriptor.size_bytes;
    return {};
}

void Queue::undo_pops(std::uint16_t count) noexcept {
    if (is_ready()) {
        next_avail_ = static_cast<std::uint16_t>(next_avail_ - count);
    }
}

void Queue::push_used(std::uint16_t head, std::uint32_t written_bytes) noexcept {
    const abi::virtio::UsedElement element{head, written_bytes};
    push_used({&element, 1});
}

void Queue::push_used(std::span<const abi::virtio::UsedElement> elements) noexcept {
    if (!is_ready()) {
        return;
    }
    if (memory_->write_log().is_on()) {
        log_buffers(elements);
    }
    for (const abi::virtio::UsedElement& element : elements) {
        const std::size_t at =
            abi::virtio::used_ring_offset + sizeof element * (next_used_ % size_);
        std::memcpy(used_.subspan(at).first<sizeof element>().data(), &element, sizeof element);
        ++next_used_;
    }
    // Pairs with the driver's barrier between reading the index and the element (2.7.14): the
    // elements and the chains' bytes are written before the index.
    word(used_, abi::virtio::used_idx_offset).store(next_used_, std::memory_order_release);
    memory_->log_write(used_);
}

// All writable buffers, since a device may write anywhere in them. Before the driver sees the used
// index: from then on the descriptors are its own again. One that changes them earlier harms only
// itself.
void Queue::log_buffers(std::span<const abi::virtio::UsedElement> elements) const noexcept {
    Segments segments;
    for (const abi::virtio::UsedElement& element : elements) {
        Collected found{segments};
        if (!collect(static_cast<std::uint16_t>(element.id), found)) {
            continue;
        }
        for (std::size_t idx = found.readable; idx < found.total; ++idx) {
            memory_->log_write(segments[idx]);
        }
    }
}

bool Queue::should_interrupt() noexcept {
    if (!is_ready() || next_used_ == signalled_used_) {
        return false;
    }
    const std::uint16_t before = std::exchange(signalled_used_, next_used_);
    // The index once more, now in one order with what is loaded below. Pairs with the driver's
    // barrier between asking for an interrupt and looking at the used index for the last time
    // (2.7.7.1): one of the two sees what the other wrote.
    word(used_, abi::virtio::used_idx_offset).store(next_used_, std::memory_order_seq_cst);
    if (has_feature(abi::virtio::feature::event_idx)) {
        const std::uint16_t used_event = word(avail_, abi::virtio::avail_used_event_offset(size_))
                                             .load(std::memory_order_seq_cst);
        return abi::virtio::passes_event(used_event, next_used_, before);
    }
    return (word(avail_, 0).load(std::memory_order_seq_cst) & abi::virtio::avail_no_interrupt) == 0;
}

void Queue::suppress_notifications() noexcept {
    // With event_idx an avail_event that was passed already suppresses by itself.
    if (is_ready() && !has_feature(abi::virtio::feature::event_idx)) {
        word(used_, 0).store(abi::virtio::used_no_notify, std::memory_order_relaxed);
        memory_->log_write(used_);
    }
}

bool Queue::enable_notifications() noexcept {
    if (!is_ready()) {
        return false;
    }
    // Store and load are in one order. Pairs with the driver's barrier between writing the avail
    // index and looking whether the device wants a notification (2.7.13.4): one of the two sees
    // what the other wrote.
    if (has_feature(abi::virtio::feature::event_idx)) {
        word(used_, abi::virtio::used_avail_event_offset(size_))
            .store(next_avail_, std::memory_order_seq_cst);
    } else {
        word(used_, 0).store(0, std::memory_order_seq_cst);
    }
    memory_->log_write(used_);
    return word(avail_, abi::virtio::avail_idx_offset).load(std::memory_order_seq_cst) !=
           next_avail_;
}

}  // namespace shoal::virtio
