// Three queues of pages.
#include "guest/drivers/virtio_vsock.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "guest/kernel/clock.h"
#include "guest/kernel/page_table.h"

namespace shoal::guest {

using namespace abi::virtio::vsock;

namespace {

constexpr std::uint64_t send_limit_ns = 100'000'000;
// A snapshot's save and its load say one each. Without room for both the second would come after
// the first was taken, and end connections that are newer than the load.
constexpr std::uint16_t event_count = 4;

}  // namespace

VirtioVsock* VirtioVsock::start(const VirtioMmioPlace& place) {
    std::byte* memory = try_allocate_for_device(rings_bytes + 2 * queue_size * page_size);
    if (memory == nullptr) {
        return nullptr;
    }
    auto* device = new (std::nothrow_t{}) VirtioVsock{place, memory};
    if (device != nullptr) {
        device->set_up();
    }
    return device;
}

VirtioVsock::VirtioVsock(const VirtioMmioPlace& place, std::byte* memory)
    : device_{place},
      receive_{memory, physical_address(memory), queue_size},
      transmit_{memory + page_size, physical_address(memory + page_size), queue_size},
      event_{memory + 2 * page_size, physical_address(memory + 2 * page_size)},
      event_bytes_{memory + 3 * page_size},
      receive_pages_{memory + rings_bytes},
      send_pages_{memory + rings_bytes + queue_size * page_size} {
    for (std::uint16_t i = 0; i < queue_size; ++i) {
        free_slots_[i] = i;
    }
}

void VirtioVsock::set_up() {
    static_cast<void>(device_.reset());
    device_.accept(0);
    guest_cid_ = device_.config(offsetof(Config, guest_cid));
    receive_.set_interrupts(Virtqueue::Interrupts::on);
    event_.set_interrupts(Virtqueue::Interrupts::on);
    for (std::uint16_t slot = 0; slot < queue_size; ++slot) {
        offer(slot);
    }
    for (std::uint16_t slot = 0; slot < event_count; ++slot) {
        offer_event(slot);
    }
    {
        RegisterBatch batch = device_.batch();
        VirtioMmio::start_queue(batch, receive_queue, receive_);
        VirtioMmio::start_queue(batch, transmit_queue, transmit_);
        VirtioMmio::start_queue(batch, event_queue, event_);
        VirtioMmio::start(batch);
    }
    flush();
    device_.notify(event_queue, event_);
    device_.allow_interrupts();
}

// There is one kind of event, so nobody reads them.
void VirtioVsock::offer_event(std::uint16_t slot) {
    event_.put(slot, physical_address(event_bytes_) + slot * sizeof(Event), sizeof(Event),
               Virtqueue::Direction::from_device);
}

void VirtioVsock::offer(std::uint16_t slot) {
    receive_.put(slot, physical_address(receive_pages_ + slot * page_size), page_size,
                 Virtqueue::Direction::from_device);
    has_offered_ = true;
}

std::optional<VsockPacket> VirtioVsock::receive() {
    if (const auto slot = std::exchange(lent_, std::nullopt)) {
        offer(*slot);
    }
    while (const auto used = receive_.take_used()) {
        has_used_any_ = true;
        if (used->slot >= queue_size) {
            continue;
        }
        const std::span page{receive_pages_ + used->slot * page_size, page_size};
        const auto packet = parse_vsock_packet(
            page.first(std::min<std::size_t>(used->size_bytes, page_size)), guest_cid_);
        if (packet) {
            lent_ = used->slot;
            return packet;
        }
        offer(used->slot);
    }
    return std::nullopt;
}

// Slots whose packets the device has taken. What it did not get it cannot give back.
void VirtioVsock::reclaim() {
    while (const auto used = transmit_.take_used()) {
        if (used->slot < queue_size && std::exchange(is_sending_[used->slot], false)) {
            free_slots_[free_count_++] = used->slot;
        }
    }
}

std::span<std::byte> VirtioVsock::payload_room() {
    if (free_count_ <= control_slots) {
        reclaim();
    }
    if (free_count_ <= control_slots) {
        wants_room_ = true;
        return {};
    }
    return {page_to_send() + sizeof(Header), payload_bytes_max};
}

void VirtioVsock::send_data(Header header) {
    header.len = std::min(header.len, static_cast<std::uint32_t>(payload_bytes_max));
    put(header);
}

void VirtioVsock::send_control(Header header) {
    reclaim();
    if (free_count_ == 0) {
        flush();
        const std::uint64_t end = monotonic_ns() + send_limit_ns;
        while (free_count_ == 0 && monotonic_ns() < end) {
            reclaim();
        }
    }
    if (free_count_ != 0) {
        header.len = 0;
        put(header);
    }
}

void VirtioVsock::put(Header header) {
    header.src_cid = Cid::of(guest_cid_);
    header.dst_cid = Cid::of(host_cid);
    header.type = Type::stream;
    std::memcpy(page_to_send(), &header, sizeof header);
    const std::uint16_t slot = next_send();
    transmit_.put(slot, physical_address(page_to_send()),
                  static_cast<std::uint32_t>(sizeof header) + header.len,
                  Virtqueue::Direction::to_device);
    is_sending_[slot] = true;
    has_sent_ = true;
    --free_count_;
}

void VirtioVsock::flush() {
    if (std::exchange(has_sent_, false)) {
        device_.notify(transmit_queue, transmit_);
    }
    if (std::exchange(has_offered_, false)) {
        device_.notify(receive_queue, receive_);
    }
}

bool VirtioVsock::is_idle() {
    reclaim();
    return free_count_ == queue_size;
}

bool VirtioVsock::take_transport_reset() {
    bool is_reset = false;
    while (const auto used = event_.take_used()) {
        if (used->slot < event_count) {
            offer_event(used->slot);
        }
        is_reset = true;
    }
    if (!is_reset) {
        return false;
    }
    has_used_any_ = true;
    device_.notify(event_queue, event_);
    guest_cid_ = device_.config(offsetof(Config, guest_cid));
    return true;
}

bool VirtioVsock::arm_interrupts() {
    const bool waits = std::exchange(wants_room_, false);
    transmit_.set_interrupts(waits ? Virtqueue::Interrupts::on : Virtqueue::Interrupts::off);
    if (std::exchange(has_used_any_, false)) {
        device_.acknowledge_interrupt();
    }
    return !receive_.has_used() && !event_.has_used() && !(waits && transmit_.has_used());
}

}  // namespace shoal::guest
