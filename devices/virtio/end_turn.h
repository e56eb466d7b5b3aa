// What ends every turn of a device: the driver hears of used buffers, or of its mistake.
#pragma once

#include <expected>
#include <span>

#include "devices/virtio/device.h"
#include "devices/virtio/queue.h"

namespace shoal::virtio {

// How a turn went. After a mistake of the driver's the device stands still.
using Done = std::expected<void, QueueError>;

// `device` is active, on `transport` with `queues`; with its mutex held.
inline void end_turn(Device& device, Transport& transport, std::span<Queue> queues,
                     const Done& done) noexcept {
    if (!done) {
        device.reset();
        transport.fail(done.error());
        return;
    }
    for (Queue& queue : queues) {
        transport.used_buffers(queue);
    }
}

}  // namespace shoal::virtio
