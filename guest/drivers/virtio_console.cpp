// The console's driver.
#include "guest/drivers/virtio_console.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "guest/drivers/register_batch.h"
#include "guest/kernel/clock.h"
#include "guest/kernel/page_table.h"
#include "guest/kernel/panic.h"

namespace shoal::guest {

using namespace abi::virtio;

namespace {

constexpr std::size_t queue_bytes = Virtqueue::memory_bytes(Virtqueue::default_size);

// Control messages lie in the second half of the page of rings.
constexpr std::size_t control_offset = 3072;
static_assert(5 * queue_bytes <= control_offset);
constexpr std::size_t control_receive_bytes = 32;  // a message and a short name
constexpr std::size_t control_transmit_offset = control_offset + 512;

constexpr const char* no_memory = "no memory for the console";

}  // namespace

VirtioConsole::VirtioConsole(const VirtioMmioPlace& place)
    : device_{place},
      ring_memory_{allocate_for_device(page_size, no_memory)},
      receive_{make_queue(0)},
      transmit_{Transmitter{make_queue(1)}, Transmitter{make_queue(2)}},
      control_receive_{make_queue(3)},
      control_transmit_{make_queue(4)},
      receive_memory_{
          allocate_for_device(std::uint64_t{receive_slots} * receive_bytes, no_memory)} {
    negotiate();
    RegisterBatch batch = device_.batch();
    VirtioMmio::start_queue(batch, console::receive_queue(0), receive_);
    VirtioMmio::start_queue(batch, console::transmit_queue(0), transmit_[0].queue);
    if (multiport_) {
        VirtioMmio::start_queue(batch, console::control_receive_queue, control_receive_);
        VirtioMmio::start_queue(batch, console::control_transmit_queue, control_transmit_);
        VirtioMmio::start_queue(batch, console::transmit_queue(1), transmit_[1].queue);
    }
    for (std::uint16_t slot = 0; slot < receive_slots; ++slot) {
        receive_.put(slot, physical_address(receive_memory_) + slot * receive_bytes, receive_bytes,
                     Virtqueue::Direction::from_device);
    }
    VirtioMmio::start(batch);
    if (multiport_) {
        open_ports(batch);
    }
}

Virtqueue VirtioConsole::make_queue(std::uint32_t idx) {
    std::byte* memory = ring_memory_ + idx * queue_bytes;
    return {memory, physical_address(memory)};
}

void VirtioConsole::negotiate() {
    multiport_ = (device_.reset() & console::feature_multiport) != 0 &&
                 device_.config(console::config_max_ports_offset) >= port_count;
    device_.accept(multiport_ ? static_cast<std::uint32_t>(console::feature_multiport) : 0);
}

// The whole handshake in one notification: the ports' numbers are known.
void VirtioConsole::open_ports(RegisterBatch& batch) {
    std::byte* inbox = ring_memory_ + control_offset;
    for (std::uint16_t slot = 0; slot < Virtqueue::default_size; ++slot) {
        control_receive_.put(slot, physical_address(inbox) + slot * control_receive_bytes,
                             control_receive_bytes, Virtqueue::Direction::from_device);
    }
    const console::Control messages[] = {
        {0, console::Event::device_ready, 1}, {0, console::Event::port_ready, 1},
        {1, console::Event::port_ready, 1},   {0, console::Event::port_open, 1},
        {1, console::Event::port_open, 1},
    };
    std::byte* outbox = ring_memory_ + control_transmit_offset;
    std::memcpy(outbox, messages, sizeof messages);
    std::uint16_t slot = 0;
    for (const console::Control& message : messages) {
        control_transmit_.put(slot, physical_address(outbox) + slot * sizeof message,
                              sizeof message, Virtqueue::Direction::to_device);
        ++slot;
    }
    if (control_transmit_.needs_notify()) {
        batch.write(MmioRegister::queue_notify, console::control_transmit_queue);
    }
}

void VirtioConsole::collect(Transmitter& transmitter) {
    while (const auto used = transmitter.queue.take_used()) {
        transmitter.busy &= ~(1U << used->slot);
    }
}

void VirtioConsole::wait_for_used(Virtqueue& queue) {
    device_.allow_interrupts();
    queue.set_interrupts(Virtqueue::Interrupts::on);
    while (!queue.has_used()) {
        wait_for_interrupt();
        acknowledge_interrupt();
    }
    queue.set_interrupts(Virtqueue::Interrupts::off);
}

std::uint16_t VirtioConsole::take_free_slot(Transmitter& transmitter) {
    constexpr std::uint32_t all = (1U << Virtqueue::default_size) - 1;
    for (collect(transmitter);; collect(transmitter)) {
        if (transmitter.busy != all) {
            const auto slot = static_cast<std::uint16_t>(std::countr_one(transmitter.busy));
            std::byte*& buffer = transmitter.buffers[slot];
            if (buffer == nullptr) {
                buffer = try_allocate_for_device(transmit_bytes);
            }
            if (buffer != nullptr) {
                return slot;
            }
            if (transmitter.busy == 0) {
                panic("no memory for output");
            }
        }
        wait_for_used(transmitter.queue);
    }
}

void VirtioConsole::drain(Transmitter& transmitter) {
    collect(transmitter);
    while (transmitter.busy != 0) {
        wait_for_used(transmitter.queue);
        collect(transmitter);
    }
}

void VirtioConsole::write(std::uint32_t port, std::span<const std::byte> bytes) {
    const std::uint32_t chosen = multiport_ ? port : 0;
    if (chosen != last_port_) {
        drain(transmit_[last_port_]);
        last_port_ = chosen;
    }
    Transmitter& transmitter = transmit_[chosen];
    while (!bytes.empty()) {
        const std::uint16_t slot = take_free_slot(transmitter);
        const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), transmit_bytes));
        std::memcpy(transmitter.buffers[slot], piece.data(), piece.size());
        transmitter.queue.put(slot, physical_address(transmitter.buffers[slot]),
                              static_cast<std::uint32_t>(piece.size()),
                              Virtqueue::Direction::to_device);
        transmitter.busy |= 1U << slot;
        device_.notify(console::transmit_queue(chosen), transmitter.queue);
        bytes = bytes.subspan(piece.size());
    }
}

void VirtioConsole::flush() {
    if (multiport_) {
        return;  // our own VMM takes what is queued when the microVM ends
    }
    for (Transmitter& transmitter : transmit_) {
        drain(transmitter);
    }
}

std::size_t VirtioConsole::read(std::span<std::byte> to) {
    if (!current_) {
        current_ = receive_.take_used();
        current_at_ = 0;
        if (!current_) {
            return 0;
        }
    }
    const std::size_t arrived = std::min<std::size_t>(current_->size_bytes, receive_bytes);
    const std::size_t count = std::min(to.size(), arrived - current_at_);
    const std::size_t offset =
        static_cast<std::size_t>(current_->slot % receive_slots) * receive_bytes;
    std::memcpy(to.data(), receive_memory_ + offset + current_at_, count);
    current_at_ += count;
    if (current_at_ == arrived) {
        receive_.put(current_->slot, physical_address(receive_memory_ + offset), receive_bytes,
                     Virtqueue::Direction::from_device);
        current_.reset();
        device_.notify(console::receive_queue(0), receive_);
    }
    return count;
}

bool VirtioConsole::has_input() {
    return current_.has_value() || receive_.has_used();
}

void VirtioConsole::read_control() {
    while (const auto used = control_receive_.take_used()) {
        console::Control message{};
        std::byte* inbox = ring_memory_ + control_offset + used->slot * control_receive_bytes;
        std::memcpy(&message, inbox, sizeof message);
        if (message.port == 0 && message.event == console::Event::port_open) {
            input_closed_ = message.value == 0;
        }
        control_receive_.put(used->slot, physical_address(inbox), control_receive_bytes,
                             Virtqueue::Direction::from_device);
    }
}

bool VirtioConsole::at_end() {
    read_control();
    // The device closes the port after the last data: look for it once more.
    return input_closed_ && !has_input();
}

void VirtioConsole::expect_input() {
    device_.allow_interrupts();
    receive_.set_interrupts(Virtqueue::Interrupts::on);
    control_receive_.set_interrupts(Virtqueue::Interrupts::on);
}

}  // namespace shoal::guest
