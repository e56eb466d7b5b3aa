// Queues, the host's wish, statistics and reports.
#include "guest/drivers/virtio_balloon.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "devices/abi/virtio_balloon.h"
#include "guest/kernel/clock.h"
#include "guest/kernel/page_table.h"
#include "guest/kernel/sched/scheduler.h"

namespace shoal::guest {

using namespace abi::virtio;

namespace {

// A program that frees memory often takes it again soon; and it may not live that long.
constexpr std::uint64_t delay_ns = 500'000'000;
constexpr std::uint64_t answer_limit_ns = 2'000'000'000;
// Which device has interrupted is not known, and to look costs an exit. While none has, there is
// nothing to look at: a program that wakes by its own timer pays nothing.
constexpr std::uint64_t look_period_ns = 1'000'000'000;

constexpr auto wanted_features = static_cast<std::uint32_t>(
    balloon::feature_statistics | balloon::feature_deflate_on_oom | balloon::feature_reporting);

// One page: a ring for each queue. Another: a request of inflation, then statistics.
constexpr std::uint64_t ring_bytes = 1024;
static_assert(Virtqueue::memory_bytes(32) <= ring_bytes && 4 * ring_bytes <= page_size);

struct Statistic {
    std::uint16_t tag;
    std::uint64_t value;
};
constexpr std::size_t statistic_count = 3;
static_assert(BalloonInflation::request_bytes + statistic_count * balloon::statistic_bytes <=
              page_size);

}  // namespace

void start_balloon(std::span<const VirtioMmioDevice> devices) {
    if (const auto place = first_place(devices, abi::virtio::device_id::balloon)) {
        auto& driver = *new VirtioBalloon{*place};
        add_event_source(driver);
        physical_memory.add_holder(driver);
    }
}

bool VirtioBalloon::set_up() {
    std::byte* memory = try_allocate_for_device(2 * page_size);
    if (memory == nullptr) {
        return false;
    }
    features_ = device_.reset() & wanted_features;
    device_.accept(features_);
    RegisterBatch batch = device_.batch();
    std::uint32_t idx = 0;
    const auto start = [&](std::optional<Virtqueue>& queue) {
        std::byte* ring = memory + idx * ring_bytes;
        queue.emplace(ring, physical_address(ring), queue_size);
        queue->set_interrupts(Virtqueue::Interrupts::on);
        VirtioMmio::start_queue(batch, idx++, *queue);
    };
    start(inflate_);
    start(deflate_);
    if ((features_ & balloon::feature_statistics) != 0) {
        start(statistics_);
    }
    if ((features_ & balloon::feature_reporting) != 0) {
        reports_idx_ = idx;
        start(reports_);
    }
    VirtioMmio::start(batch);
    batch.flush();
    inflation_.emplace(device_, *inflate_, *deflate_, memory + page_size);
    statistics_buffer_ = memory + page_size + BalloonInflation::request_bytes;
    device_.allow_interrupts();
    tell_statistics();
    return true;
}

void VirtioBalloon::take_events() {
    if (state_ == State::useless) {
        return;
    }
    const std::uint64_t now = monotonic_ns();
    if (state_ == State::unused) {
        if (look_ns_ == no_deadline || now < look_ns_) {
            look_ns_ = std::min(look_ns_, now + delay_ns);
            return;
        }
        state_ = set_up() ? State::ready : State::useless;
        if (state_ == State::useless) {
            look_ns_ = no_deadline;
            return;
        }
    }
    collect();
    follow_wish(now);
    report_in_time(now);
}

void VirtioBalloon::collect() {
    bool any = collect_report();
    any = inflation_->collect() || any;
    if (statistics_ && statistics_->take_used()) {
        tell_statistics();
        any = true;
    }
    if (any) {
        device_.acknowledge_interrupt();
    }
}

// An event may be the device's wish for another size: it is looked at now, or a moment later if
// that was only just done.
void VirtioBalloon::follow_wish(std::uint64_t now_ns) {
    if (looked_interrupts_ == interrupts_of_devices()) {
        look_ns_ = no_deadline;
    } else if (now_ns - looked_ns_ < look_period_ns) {
        look_ns_ = looked_ns_ + look_period_ns;
    } else {
        looked_interrupts_ = interrupts_of_devices();
        looked_ns_ = now_ns;
        look_ns_ = no_deadline;
        device_.acknowledge_interrupt();
        const std::uint32_t wish = device_.config(offsetof(balloon::Config, num_pages));
        if (std::exchange(wish_pages_, wish) != wish) {  // what the program took back is its own
            inflation_->want(wish);
        }
    }
    inflation_->go_on();
    if (inflation_->is_behind()) {
        look_ns_ = looked_ns_ + look_period_ns;
    }
    if (!inflation_->is_busy() && inflation_->held_pages() != told_pages_) {
        told_pages_ = inflation_->held_pages();
        device_.set_config(balloon::config_actual_offset, told_pages_);
    }
}

void VirtioBalloon::tell_statistics() {
    if (!statistics_) {
        return;
    }
    const std::uint64_t free = physical_memory.free_bytes();
    const std::array<Statistic, statistic_count> all{
        {{balloon::tag_free_memory, free},
         {balloon::tag_total_memory, physical_memory.total_bytes()},
         {balloon::tag_available_memory, free}}};
    std::byte* at = statistics_buffer_;
    for (const Statistic& one : all) {
        std::memcpy(at, &one.tag, sizeof one.tag);
        std::memcpy(at + balloon::statistic_value_offset, &one.value, sizeof one.value);
        at += balloon::statistic_bytes;
    }
    statistics_->put(0, physical_address(statistics_buffer_),
                     static_cast<std::uint32_t>(at - statistics_buffer_),
                     Virtqueue::Direction::to_device);
    device_.notify(balloon::first_optional_queue, *statistics_);
}

void VirtioBalloon::report_in_time(std::uint64_t now_ns) {
    if (!reports_ || lent_count_ != 0 || !physical_memory.has_backed_large_page()) {
        report_ns_ = no_deadline;
    } else if (report_ns_ == no_deadline) {
        report_ns_ = now_ns + delay_ns;
    } else if (now_ns >= report_ns_) {
        report_ns_ = no_deadline;
        report();
    }
}

void VirtioBalloon::report() {
    std::array<Virtqueue::Buffer, queue_size> chain;
    while (lent_count_ < queue_size) {
        void* page = physical_memory.lend_large_page();
        if (page == nullptr) {
            break;
        }
        chain[lent_count_] = {physical_address(page) + page_size,
                              static_cast<std::uint32_t>(large_page_size - page_size),
                              Virtqueue::Direction::from_device};
        lent_[lent_count_++] = page;
    }
    if (lent_count_ != 0) {
        reports_->put_chain(0, std::span{chain}.first(lent_count_));
        device_.notify(reports_idx_, *reports_);
    }
}

bool VirtioBalloon::collect_report() {
    if (lent_count_ == 0 || !reports_->take_used()) {
        return false;
    }
    for (void* page : std::span{lent_}.first(lent_count_)) {
        physical_memory.return_large_page(page);
    }
    lent_count_ = 0;
    return true;
}

// A device that keeps its pages leaves the program without them.
bool VirtioBalloon::give_back() {
    if (state_ != State::ready) {
        return false;
    }
    const std::uint64_t start = monotonic_ns();
    if (lent_count_ != 0) {
        while (!collect_report() && monotonic_ns() - start < answer_limit_ns) {
        }
        return lent_count_ == 0;
    }
    return (features_ & balloon::feature_deflate_on_oom) != 0 && inflation_->give_back();
}

}  // namespace shoal::guest
