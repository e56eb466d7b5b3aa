// One queue of reports; the queues before it are set up and stay empty.
#include "guest/drivers/virtio_balloon.h"

#include <algorithm>

#include "devices/abi/virtio_balloon.h"
#include "guest/kernel/clock.h"
#include "guest/kernel/page_table.h"
#include "guest/kernel/sched/scheduler.h"

namespace shoal::guest {

using namespace abi::virtio;

namespace {

// A program that frees memory often takes it again soon.
constexpr std::uint64_t delay_ns = 500'000'000;
constexpr std::uint64_t answer_limit_ns = 2'000'000'000;

constexpr std::uint64_t ring_offset(std::uint32_t idx) {
    return 1024ULL * idx;
}
constexpr std::uint32_t reporting_queue = balloon::first_optional_queue;
static_assert(Virtqueue::memory_bytes(32) <= 1024);
static_assert(ring_offset(reporting_queue) + 1024 <= page_size);

}  // namespace

void start_balloon(std::span<const VirtioMmioDevice> devices) {
    if (const auto place = first_place(devices, abi::virtio::device_id::balloon)) {
        auto& driver = *new VirtioBalloon{*place};
        add_event_source(driver);
        physical_memory.add_holder(driver);
    }
}

bool VirtioBalloon::set_up() {
    constexpr auto wanted = static_cast<std::uint32_t>(balloon::feature_reporting);
    std::byte* memory = try_allocate_for_device(page_size);
    if (memory == nullptr || (device_.reset() & wanted) == 0) {
        device_.stop();
        return false;
    }
    device_.accept(wanted);
    RegisterBatch batch = device_.batch();
    for (std::uint32_t idx = 0; idx <= reporting_queue; ++idx) {
        std::byte* ring = memory + ring_offset(idx);
        queue_.emplace(ring, physical_address(ring), queue_size);
        VirtioMmio::start_queue(batch, idx, *queue_);
    }
    VirtioMmio::start(batch);
    return true;
}

void VirtioBalloon::take_events() {
    if (lent_count_ != 0) {
        collect();
    }
    if (lent_count_ != 0 || state_ == State::useless || !physical_memory.has_backed_large_page()) {
        report_ns_ = no_deadline;
    } else if (report_ns_ == no_deadline) {
        report_ns_ = monotonic_ns() + delay_ns;
    } else if (monotonic_ns() >= report_ns_) {
        report_ns_ = no_deadline;
        report();
    }
}

void VirtioBalloon::report() {
    if (state_ == State::unused) {
        state_ = set_up() ? State::ready : State::useless;
        if (state_ == State::useless) {
            return;
        }
        queue_->set_interrupts(Virtqueue::Interrupts::on);
        device_.allow_interrupts();
    }
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
        queue_->put_chain(0, std::span{chain}.first(lent_count_));
        device_.notify(reporting_queue, *queue_);
    }
}

void VirtioBalloon::collect() {
    if (!queue_->take_used()) {
        return;
    }
    device_.acknowledge_interrupt();
    for (void* page : std::span{lent_}.first(lent_count_)) {
        physical_memory.return_large_page(page);
    }
    lent_count_ = 0;
}

// A device that keeps its pages leaves the program without them.
bool VirtioBalloon::give_back() {
    if (lent_count_ == 0) {
        return false;
    }
    const std::uint64_t start = monotonic_ns();
    while (lent_count_ != 0 && monotonic_ns() - start < answer_limit_ns) {
        collect();
    }
    return lent_count_ == 0;
}

}  // namespace shoal::guest
