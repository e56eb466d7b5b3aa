// Device and Transport: what a virtio device implements, and what its transport does for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

#include "devices/host/event_fd.h"
#include "devices/virtio/queue.h"

namespace shoal::virtio {

// What a transport does for an active device. Called with the device's mutex held.
class Transport {
public:
    virtual ~Transport() = default;
    // Buffers were pushed to `queue`: interrupts, unless the driver does not want to know.
    virtual void used_buffers(Queue& queue) noexcept = 0;
    // Work is left that was too much for one call: process() is called again.
    virtual void process_again() noexcept = 0;
    // The configuration reads differently from now on.
    virtual void config_changed() noexcept = 0;
    // The driver broke the rules: the device stands still until the driver resets it (2.1.2). The
    // device forgets queues and transport at once.
    virtual void fail(QueueError error) noexcept = 0;
};

// The transport holds mutex() in all its calls but drain() and complete_activation(), on vCPU
// threads and on the event loop.
// A device takes it by itself in functions that others call.
class Device {
public:
    virtual ~Device() = default;

    [[nodiscard]] std::mutex& mutex() const noexcept { return mutex_; }

    // These five never change.
    [[nodiscard]] virtual std::uint32_t device_id() const noexcept = 0;
    // The device's own; the transport adds those of queues and of the transport.
    [[nodiscard]] virtual std::uint64_t features() const noexcept = 0;
    [[nodiscard]] virtual std::uint32_t queue_count() const noexcept = 0;
    [[nodiscard]] virtual std::uint32_t queue_size_max() const noexcept = 0;  // a power of two
    // Where another process serves the queues: what it signals when the driver wants to know of
    // used buffers. That goes to the driver as an interrupt, past this process. Else nullptr.
    [[nodiscard]] virtual const host::EventFd* used_event() const noexcept { return nullptr; }

    // Any offset and 1 to 8 bytes; what lies outside the configuration reads as 0.
    virtual void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept = 0;
    virtual void write_config(std::uint64_t offset, std::span<const std::byte> data) noexcept = 0;

    // DRIVER_OK: `features` are negotiated; queues that the driver did not set up are not ready.
    // Queues and transport stay valid until reset(), but each queue may be stopped before.
    virtual void activate(std::uint64_t features, std::span<Queue> queues,
                          Transport& transport) noexcept = 0;
    // Of an active device, the driver stops queue `idx` alone (virtio 1.2, 2.6.1): chains that were
    // popped from it are gone. From then on the queue is not ready.
    virtual void stop_queue(std::uint32_t idx) noexcept = 0;
    // The driver set it up anew, and it is ready again, from its beginning.
    virtual void start_queue(std::uint32_t) noexcept {}
    // After activate() or start_queue() by a driver (not when a saved state is restored), without
    // the mutex: what may take its time. The driver does not go on before that; others may, and may
    // reset the device meanwhile.
    virtual void complete_activation() noexcept {}
    // Back to before activate(), at any moment; chains that were popped are gone. Does not wait for
    // what the host still does for the old driver.
    virtual void reset() noexcept = 0;
    // After reset() or stop_queue(), without the mutex: waits until nothing from before reaches
    // guest memory any more. The driver must not go on before that; everybody else may.
    virtual void drain() noexcept {}
    // Looks at every queue. On the event loop, after a notification; a bounded amount of work.
    virtual void process() noexcept = 0;

private:
    mutable std::mutex mutex_;
};

}  // namespace shoal::virtio
