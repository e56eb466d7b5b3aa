// VirtioBalloon: gives free memory back to the host by free page reporting (virtio 1.2, 5.5.6.7)
// over virtio-mmio.
//
// Free large pages are lent to the device, some at a time and a moment after they came back, and
// return when it has taken what lies in them. The first small page of each stays, for the list of
// free pages. The device is set up when there is something to report for the first time. The host's
// target (inflation), statistics and hinting are not served. One vCPU: no locks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "guest/drivers/virtio_mmio.h"
#include "guest/kernel/physical_memory.h"
#include "guest/kernel/sched/event_source.h"

namespace shoal::guest {

class VirtioBalloon final : public EventSource, public MemoryHolder {
public:
    // Touches no register.
    explicit VirtioBalloon(const VirtioMmioPlace& place) : device_{place} {}

    void take_events() override;
    [[nodiscard]] std::uint64_t deadline_ns() const override { return report_ns_; }
    bool give_back() override;

private:
    static constexpr std::uint16_t queue_size = 32;  // large pages in a report

    [[nodiscard]] bool set_up();
    void report();
    void collect();

    VirtioMmio device_;
    enum class State { unused, ready, useless } state_ = State::unused;
    std::optional<Virtqueue> queue_{};
    std::array<void*, queue_size> lent_{};
    std::size_t lent_count_ = 0;
    std::uint64_t report_ns_ = no_deadline;  // when the next report is due
};

// Uses the first balloon among the devices, if there is one, from now on.
void start_balloon(std::span<const VirtioMmioDevice> devices);

}  // namespace shoal::guest
