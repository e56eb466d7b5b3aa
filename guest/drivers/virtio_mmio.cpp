// The handshake and the registers behind it.
#include "guest/drivers/virtio_mmio.h"

#include <algorithm>

#include "guest/drivers/chain_queue.h"
#include "guest/kernel/clock.h"
#include "guest/kernel/page_table.h"
#include "guest/kernel/panic.h"

namespace shoal::guest {

using namespace abi::virtio;

namespace {

constexpr std::uint32_t all_interrupts = interrupt::used_buffer | interrupt::configuration_change;

volatile std::uint32_t& register_at(std::uint64_t base, MmioRegister which) {
    return *reinterpret_cast<volatile std::uint32_t*>(base + static_cast<std::uint64_t>(which));
}

template <typename Queue>
void write_queue(RegisterBatch& batch, std::uint32_t idx, const Queue& queue, std::uint32_t size) {
    batch.write(MmioRegister::queue_select, idx);
    batch.write(MmioRegister::queue_size, size);
    batch.write_address(MmioRegister::queue_descriptors_low, MmioRegister::queue_descriptors_high,
                        queue.descriptors_address());
    batch.write_address(MmioRegister::queue_driver_low, MmioRegister::queue_driver_high,
                        queue.avail_address());
    batch.write_address(MmioRegister::queue_device_low, MmioRegister::queue_device_high,
                        queue.used_address());
    batch.write(MmioRegister::queue_ready, 1);
}

}  // namespace

std::vector<VirtioMmioDevice> find_virtio_mmio(std::span<const VirtioMmioWord> words) {
    std::vector<VirtioMmioDevice> devices;
    for (const VirtioMmioWord& word : words) {
        if (void* mapped = map_kernel_ram(word.base, page_size)) {
            const auto registers = reinterpret_cast<std::uint64_t>(mapped);
            devices.push_back(
                {{word.base, word.irq}, register_at(registers, MmioRegister::device_id)});
        }
    }
    return devices;
}

std::optional<VirtioMmioPlace> first_place(std::span<const VirtioMmioDevice> devices,
                                           std::uint32_t device_id) {
    const auto found = std::ranges::find(devices, device_id, &VirtioMmioDevice::device_id);
    return found != devices.end() ? std::optional{found->place} : std::nullopt;
}

VirtioMmio::VirtioMmio(const VirtioMmioPlace& place)
    : registers_{reinterpret_cast<std::uint64_t>(map_kernel_ram(place.base, page_size))},
      irq_{place.irq} {}

volatile std::uint32_t& VirtioMmio::reg(MmioRegister which) const {
    return register_at(registers_, which);
}

// Registers are 0 after a reset, so selectors need no write at first.
std::uint32_t VirtioMmio::reset() {
    is_shoal_ = reg(MmioRegister::vendor_id) == mmio_vendor_shoal;
    {
        RegisterBatch writes = batch();
        writes.write(MmioRegister::status, 0);
        writes.write(MmioRegister::status, status::acknowledge);
        writes.write(MmioRegister::status, status::acknowledge | status::driver);
    }
    return reg(MmioRegister::device_features);
}

bool VirtioMmio::try_accept(std::uint32_t features) const {
    {
        RegisterBatch writes = batch();
        if (features != 0) {
            writes.write(MmioRegister::driver_features, features);
        }
        writes.write(MmioRegister::driver_features_select, 1);
        writes.write(MmioRegister::driver_features,
                     static_cast<std::uint32_t>(feature::version_1 >> 32));
        writes.write(MmioRegister::status,
                     status::acknowledge | status::driver | status::features_ok);
    }
    return (reg(MmioRegister::status) & status::features_ok) != 0;
}

void VirtioMmio::accept(std::uint32_t features) const {
    if (!try_accept(features)) {
        panic("a virtio device refuses its features", features);
    }
}

void VirtioMmio::start_queue(RegisterBatch& batch, std::uint32_t idx, const Virtqueue& queue) {
    write_queue(batch, idx, queue, queue.size());
}

void VirtioMmio::start_queue(RegisterBatch& batch, std::uint32_t idx, const ChainQueue& queue) {
    write_queue(batch, idx, queue, ChainQueue::size);
}

void VirtioMmio::start(RegisterBatch& batch) {
    batch.write(MmioRegister::status,
                status::acknowledge | status::driver | status::features_ok | status::driver_ok);
}

void VirtioMmio::stop() const {
    reg(MmioRegister::status) = 0;
}

void VirtioMmio::set_config(std::uint64_t offset, std::uint32_t value) const {
    (&reg(MmioRegister::config))[offset / sizeof value] = value;
}

std::uint32_t VirtioMmio::queue_size_max(std::uint32_t idx) const {
    reg(MmioRegister::queue_select) = idx;
    return reg(MmioRegister::queue_size_max);
}

void VirtioMmio::notify(std::uint32_t idx, Virtqueue& queue) const {
    if (queue.needs_notify()) {
        ring(idx);
    }
}

void VirtioMmio::ring(std::uint32_t idx) const {
    reg(MmioRegister::queue_notify) = idx;
}

void VirtioMmio::allow_interrupts() {
    if (!interrupts_allowed_) {
        interrupts_allowed_ = true;
        enable_interrupt(irq_);
    }
}

void VirtioMmio::acknowledge_interrupt() const {
    if (!is_shoal_) {
        reg(MmioRegister::interrupt_acknowledge) = all_interrupts;
    }
}

std::byte* try_allocate_for_device(std::uint64_t size_bytes) {
    return static_cast<std::byte*>(
        physical_memory.allocate_contiguous((size_bytes + page_size - 1) / page_size));
}

std::byte* allocate_for_device(std::uint64_t size_bytes, const char* sentence) {
    std::byte* memory = try_allocate_for_device(size_bytes);
    if (memory == nullptr) {
        panic(sentence);
    }
    return memory;
}

}  // namespace shoal::guest
