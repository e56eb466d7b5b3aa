// The disk's driver.
#include "guest/drivers/virtio_block.h"

#include <algorithm>
#include <bit>
#include <new>

#include "guest/kernel/clock.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/page_table.h"
#include "guest/kernel/panic.h"
#include "guest/kernel/sched/scheduler.h"

namespace shoal::guest {

using namespace abi::virtio;

namespace {

constexpr std::size_t ring_bytes = (Virtqueue::memory_bytes(Virtqueue::size_max) + 31) & ~31ULL;

// About what the halt, the interrupt and its acknowledgement would take.
constexpr std::uint64_t poll_us = 100;

block::RequestType type_of(BlockRequest::Kind kind) {
    switch (kind) {
        case BlockRequest::Kind::read:
            return block::RequestType::in;
        case BlockRequest::Kind::write:
            return block::RequestType::out;
        case BlockRequest::Kind::flush:
            return block::RequestType::flush;
    }
    return block::RequestType::in;
}

}  // namespace

VirtioBlock::VirtioBlock(const VirtioMmioPlace& place)
    : device_{place},
      queue_size_{static_cast<std::uint16_t>(
          std::bit_floor(std::min<std::uint32_t>(device_.queue_size_max(0), Virtqueue::size_max)))},
      slot_count_{std::size_t{queue_size_} / chain_max},
      memory_{
          allocate_for_device(ring_bytes + requests_max * sizeof(Frame), "no memory for a disk")},
      frames_{new (memory_ + ring_bytes) Frame[requests_max]},
      queue_{memory_, physical_address(memory_), queue_size_} {
    if (slot_count_ == 0) {
        panic("a disk's queue is too short", queue_size_);
    }
    negotiate();
    RegisterBatch batch = device_.batch();
    VirtioMmio::start_queue(batch, 0, queue_);
    VirtioMmio::start(batch);
}

void VirtioBlock::negotiate() {
    constexpr auto wanted = static_cast<std::uint32_t>(
        block::feature_seg_max | block::feature_read_only | block::feature_flush);
    const std::uint32_t features = device_.reset() & wanted;
    device_.accept(features);
    const std::uint64_t sectors =
        device_.config(offsetof(block::Config, capacity_sectors)) |
        std::uint64_t{device_.config(offsetof(block::Config, capacity_sectors) + 4)} << 32;
    size_bytes_ = std::min(sectors, UINT64_MAX / 2 / sector_bytes) * sector_bytes;
    access_ = (features & block::feature_read_only) != 0 ? Access::read_only : Access::read_write;
    has_flush_ = (features & block::feature_flush) != 0;
    if ((features & block::feature_seg_max) != 0) {
        pages_max_ = std::clamp<std::size_t>(device_.config(offsetof(block::Config, seg_max)), 1,
                                             BlockRequest::pages_max);
    }
}

std::size_t VirtioBlock::take_free_slot() {
    for (;; wait_for_used()) {
        collect();
        const auto slots = std::span{in_flight_}.first(slot_count_);
        const auto free = std::ranges::find(slots, nullptr);
        if (free != slots.end()) {
            return static_cast<std::size_t>(free - slots.begin());
        }
    }
}

// Pages that follow one another in memory make one descriptor.
std::size_t VirtioBlock::fill_chain(std::size_t slot, const BlockRequest& request,
                                    std::array<Virtqueue::Buffer, chain_max>& chain) {
    using Direction = Virtqueue::Direction;
    const std::uint64_t frame = physical_address(&frames_[slot]);
    const Direction direction =
        request.kind == BlockRequest::Kind::read ? Direction::from_device : Direction::to_device;
    std::size_t count = 0;
    chain[count++] = {frame, sizeof(block::RequestHeader), Direction::to_device};
    std::uint32_t rest = request.size_bytes;
    for (std::size_t i = 0; rest > 0; ++i) {
        const std::uint64_t page = physical_address(request.pages[i]);
        const auto size = std::min<std::uint32_t>(rest, page_bytes);
        Virtqueue::Buffer& last = chain[count - 1];
        if (count > 1 && last.physical + last.size_bytes == page) {
            last.size_bytes += size;
        } else {
            chain[count++] = {page, size, direction};
        }
        rest -= size;
    }
    chain[count++] = {frame + offsetof(Frame, status), 1, Direction::from_device};
    return count;
}

void VirtioBlock::submit(BlockRequest& request) {
    if (request.kind == BlockRequest::Kind::flush && !has_flush_) {
        request.state = BlockRequest::State::done;  // the device writes through
        return;
    }
    const std::size_t slot = take_free_slot();
    frames_[slot].header = {type_of(request.kind), 0, request.offset / sector_bytes};
    frames_[slot].status = block::RequestStatus::io_error;
    std::array<Virtqueue::Buffer, chain_max> chain;
    const std::size_t count = fill_chain(slot, request, chain);
    request.state = BlockRequest::State::in_flight;
    in_flight_[slot] = &request;
    queue_.put_chain(static_cast<std::uint16_t>(slot * chain_max), std::span{chain}.first(count));
    device_.notify(0, queue_);
}

// Sleepers hear of it whoever collects: once it is taken, no interrupt tells them.
void VirtioBlock::collect() {
    while (const auto used = queue_.take_used()) {
        const std::size_t slot = used->slot / chain_max;
        if (slot >= slot_count_ || in_flight_[slot] == nullptr) {
            continue;
        }
        const bool is_done = *static_cast<const volatile block::RequestStatus*>(
                                 &frames_[slot].status) == block::RequestStatus::ok;
        in_flight_[slot]->state = is_done ? BlockRequest::State::done : BlockRequest::State::failed;
        in_flight_[slot] = nullptr;
        sleepers_.wake_all();
    }
}

// A disk in the host's memory answers sooner than a halted CPU is woken.
bool VirtioBlock::poll_for_used() const {
    const std::uint64_t start = read_tsc();
    const std::uint64_t limit = tsc_frequency_khz() * poll_us / 1000;
    while (!queue_.has_used()) {
        if (read_tsc() - start >= limit) {
            return false;
        }
        asm volatile("pause");
    }
    return true;
}

void VirtioBlock::wait_for_used() {
    if (poll_for_used()) {
        return;
    }
    device_.allow_interrupts();
    queue_.set_interrupts(Virtqueue::Interrupts::on);
    while (!queue_.has_used()) {
        wait_for_interrupt();
        device_.acknowledge_interrupt();
    }
    queue_.set_interrupts(sleepers_.empty() ? Virtqueue::Interrupts::off
                                            : Virtqueue::Interrupts::on);
}

// Any of the requests may be over first: each sleeper looks for its own.
void VirtioBlock::sleep(BlockRequest& request) {
    for (collect(); request.state == BlockRequest::State::in_flight; collect()) {
        if (!has_runnable() && poll_for_used()) {
            continue;
        }
        device_.allow_interrupts();
        Waiter waiter;
        WaitPlace place;
        place.join(sleepers_, waiter);
        queue_.set_interrupts(Virtqueue::Interrupts::on);
        if (!queue_.has_used()) {
            block_uninterrupted(waiter);
        }
    }
}

void VirtioBlock::take_events() {
    if (sleepers_.empty() || !queue_.has_used()) {
        return;
    }
    device_.acknowledge_interrupt();
    queue_.set_interrupts(Virtqueue::Interrupts::off);
    collect();
}

void VirtioBlock::wait(BlockRequest& request) {
    for (collect(); request.state == BlockRequest::State::in_flight; collect()) {
        wait_for_used();
    }
}

}  // namespace shoal::guest
