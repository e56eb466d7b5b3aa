// VirtioMmio: what the drivers of all virtio-mmio devices share (virtio 1.2, 3.1.1 and 4.2.2): the
// registers, the handshake, the start of queues, notifications and interrupts.
//
// A register access costs an exit, so there are few. The order is: reset(), accept(), and in one
// RegisterBatch start_queue() for each queue and start().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "devices/abi/virtio_mmio.h"
#include "guest/drivers/register_batch.h"
#include "guest/drivers/virtqueue.h"
#include "guest/kernel/boot/command_line.h"

namespace shoal::guest {

class ChainQueue;

struct VirtioMmioPlace {
    std::uint64_t base = 0;  // physical
    std::uint32_t irq = 0;
};

// What is at a place: one of abi::virtio::device_id, or 0.
struct VirtioMmioDevice {
    VirtioMmioPlace place;
    std::uint32_t device_id = 0;
};
// Costs a register access for each place.
[[nodiscard]] std::vector<VirtioMmioDevice> find_virtio_mmio(std::span<const VirtioMmioWord> words);
// Where the first device with this id is.
[[nodiscard]] std::optional<VirtioMmioPlace> first_place(std::span<const VirtioMmioDevice> devices,
                                                         std::uint32_t device_id);

class VirtioMmio {
public:
    // Touches no register.
    explicit VirtioMmio(const VirtioMmioPlace& place);

    // After reset(), as all below.
    [[nodiscard]] RegisterBatch batch() const { return {registers_, is_shoal_}; }
    // Resets the device, and returns the lower 32 features that it offers.
    [[nodiscard]] std::uint32_t reset();
    // One of Shoal's: what only those do may be used.
    [[nodiscard]] bool is_shoal() const { return is_shoal_; }
    // Takes these features and VERSION_1. False: the device refuses them.
    [[nodiscard]] bool try_accept(std::uint32_t features) const;
    // Ends the microVM instead.
    void accept(std::uint32_t features) const;
    // Precondition: the queue is no longer than the device allows.
    static void start_queue(RegisterBatch& batch, std::uint32_t idx, const Virtqueue& queue);
    static void start_queue(RegisterBatch& batch, std::uint32_t idx, const ChainQueue& queue);
    static void start(RegisterBatch& batch);
    // The device forgets everything, and touches no memory any more when this returns.
    void stop() const;

    // A field of the device's own configuration, which is read as wide as it is (4.2.2.2).
    template <typename Field = std::uint32_t>
    [[nodiscard]] Field config(std::uint64_t offset) const {
        return *reinterpret_cast<volatile Field*>(
            registers_ + static_cast<std::uint64_t>(abi::virtio::MmioRegister::config) + offset);
    }
    // A 32-bit field of it, at an offset of a multiple of 4.
    void set_config(std::uint64_t offset, std::uint32_t value) const;
    [[nodiscard]] std::uint32_t queue_size_max(std::uint32_t idx) const;

    // Tells the device of what was put into the queue, if it wants to know.
    void notify(std::uint32_t idx, Virtqueue& queue) const;
    // The same, when it is known that it does.
    void ring(std::uint32_t idx) const;
    // From the first call on, the device's interrupts end a wait.
    void allow_interrupts();
    // After a wait: lets the device interrupt again. Costs nothing where the device does not need
    // it, as Shoal's do not.
    void acknowledge_interrupt() const;

private:
    [[nodiscard]] volatile std::uint32_t& reg(abi::virtio::MmioRegister which) const;

    std::uint64_t registers_;
    std::uint32_t irq_;
    bool interrupts_allowed_ = false;
    bool is_shoal_ = false;
};

// Zeroed, physically contiguous memory for rings and buffers, on a page boundary and never given
// back; nullptr when there is not so much.
[[nodiscard]] std::byte* try_allocate_for_device(std::uint64_t size_bytes);
// Ends the microVM with this sentence instead.
[[nodiscard]] std::byte* allocate_for_device(std::uint64_t size_bytes, const char* sentence);

}  // namespace shoal::guest
