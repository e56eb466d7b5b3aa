// VirtioBalloon: the memory balloon (virtio 1.2, 5.5) over virtio-mmio.
//
// Free page reporting: free large pages are lent to the device, some at a time and a moment after
// they came back, and return when it has taken what lies in them. The first small page of each
// stays, for the list of free pages. Inflation: balloon_inflation.h; the program gets the pages
// back when it needs them if the device allows that (deflate on OOM). Statistics: when the device
// asks. Hinting is not served.
//
// The device is set up half a second after the program has first waited for something, so that
// short programs pay nothing. One vCPU: no locks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "guest/drivers/balloon_inflation.h"
#include "guest/drivers/virtio_mmio.h"
#include "guest/kernel/physical_memory.h"
#include "guest/kernel/sched/event_source.h"

namespace shoal::guest {

class VirtioBalloon final : public EventSource, public MemoryHolder {
public:
    // Touches no register.
    explicit VirtioBalloon(const VirtioMmioPlace& place) : device_{place} {}

    void take_events() override;
    [[nodiscard]] std::uint64_t deadline_ns() const override {
        return report_ns_ < look_ns_ ? report_ns_ : look_ns_;
    }
    bool give_back() override;

private:
    static constexpr std::uint16_t queue_size = 32;  // large pages in a report

    [[nodiscard]] bool set_up();
    void collect();
    [[nodiscard]] bool collect_report();
    void follow_wish(std::uint64_t now_ns);
    void tell_statistics();
    void report_in_time(std::uint64_t now_ns);
    void report();

    VirtioMmio device_;
    enum class State { unused, ready, useless } state_ = State::unused;
    std::uint32_t features_ = 0;
    std::optional<Virtqueue> inflate_{};
    std::optional<Virtqueue> deflate_{};
    std::optional<Virtqueue> statistics_{};
    std::optional<Virtqueue> reports_{};
    std::uint32_t reports_idx_ = 0;
    std::byte* statistics_buffer_ = nullptr;
    std::optional<BalloonInflation> inflation_{};
    std::uint32_t wish_pages_ = 0;  // the host's, and what it was told, in the configuration
    std::uint32_t told_pages_ = 0;
    std::array<void*, queue_size> lent_{};
    std::size_t lent_count_ = 0;
    std::uint64_t report_ns_ = no_deadline;  // when the next report is due
    std::uint64_t look_ns_ = no_deadline;    // when to look what the host wants
    std::uint64_t looked_ns_ = 0;
    std::uint64_t looked_interrupts_ = ~std::uint64_t{0};  // interrupts_of_devices() then
};

// Uses the first balloon among the devices, if there is one, from now on.
void start_balloon(std::span<const VirtioMmioDevice> devices);

}  // namespace shoal::guest
